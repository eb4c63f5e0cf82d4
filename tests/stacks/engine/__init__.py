"""A small engine of Pulumi for tests: the SDK's own gRPC stubs served, objects put into a real Kubernetes API.

It does what `pulumi preview`, `up`, `refresh` and `destroy` do for programs that register components and Kubernetes
objects, as far as it was seen to be done by the real one. Programs run unchanged, in a process of their own.
"""
