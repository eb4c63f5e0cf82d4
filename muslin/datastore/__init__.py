"""Datastores: one protocol, drivers that all mean the same, and a decoded mirror of what they hold."""
