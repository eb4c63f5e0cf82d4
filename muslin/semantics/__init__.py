"""What a set of resources means: who may talk to whom, which sessions exist, how a block is reached."""
