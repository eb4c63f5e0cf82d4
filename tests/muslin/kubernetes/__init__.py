"""Our client of the Kubernetes API."""
