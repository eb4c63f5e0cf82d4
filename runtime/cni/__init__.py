"""The CNI plugin: the executable that a runtime starts, and the work that the agent does for it."""
