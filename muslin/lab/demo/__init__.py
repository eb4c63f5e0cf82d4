"""The main job, shown: from a git push to a packet on a cluster of this machine, each step measured and checked."""
