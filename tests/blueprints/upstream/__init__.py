"""Upstream Calico, installed as decided."""
