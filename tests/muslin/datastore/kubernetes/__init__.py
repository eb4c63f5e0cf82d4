"""The driver on Kubernetes, on a real kube-apiserver."""
