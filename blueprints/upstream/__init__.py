"""Upstream Calico, installed as decided: by its operator, or by its manifests."""
