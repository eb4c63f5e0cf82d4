"""The command line, mostly in this process; where it matters, as the real command."""
