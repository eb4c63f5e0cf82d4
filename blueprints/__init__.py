"""The reference architecture as functions: facts of a cluster in, decisions and resources out. Pure."""
