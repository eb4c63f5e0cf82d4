"""What a change of resources does to a cluster: pure, from two snapshots."""
