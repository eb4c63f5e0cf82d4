"""Objects of Kubernetes and of etcd as Calico's, and back."""
