"""Does for a project what each command of the command line asks."""
