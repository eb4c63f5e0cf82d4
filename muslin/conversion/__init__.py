"""Kubernetes' objects as Calico's, and both forms in which a cluster keeps Calico's: pure."""
