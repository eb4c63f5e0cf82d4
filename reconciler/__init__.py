"""The level-triggered engine, and its use on a cluster's resources. Nothing is imported here."""
