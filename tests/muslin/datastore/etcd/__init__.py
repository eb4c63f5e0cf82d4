"""The driver on etcd, on real servers."""
