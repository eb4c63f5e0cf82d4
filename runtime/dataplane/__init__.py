"""The kernel of a node: what it must hold, read back, changed as little as possible."""
