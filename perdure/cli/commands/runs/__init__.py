"""The commands that look at runs, or act on them, one file each."""
