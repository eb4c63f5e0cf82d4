"""The Kubernetes API's client: thin, asynchronous, objects as plain dictionaries; it knows nothing of Calico."""
