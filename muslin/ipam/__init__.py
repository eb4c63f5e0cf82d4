"""Calico's IP address management as pure generators: which block, which address, and who holds it."""
