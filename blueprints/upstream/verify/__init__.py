"""Whether an installation of upstream Calico is as decided, line by line; pure: what was read comes in as values."""
