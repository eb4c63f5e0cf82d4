"""The real servers that tests start, and our programs against them."""
