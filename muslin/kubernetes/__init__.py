"""A Kubernetes API: our own thin asynchronous client."""
