"""The command line, one file for each command. perdure.cli.main is the way in."""
