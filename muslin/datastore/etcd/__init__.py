"""A separate etcd as datastore, with Calico's keys and JSON. gRPC is loaded when a store is opened, not before."""

from muslin.datastore.etcd.driver import EtcdDatastore

__all__ = ["EtcdDatastore"]
