"""A cluster of network namespaces on one machine, with the real processes in it."""
