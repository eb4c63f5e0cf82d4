"""What runs in a cluster: agents, speakers, the CNI plugin."""
