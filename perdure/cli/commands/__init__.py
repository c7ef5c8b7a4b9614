"""The commands, one file each; those for runs have a folder of their own."""
