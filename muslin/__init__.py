"""The vocabulary, what it means, and the tools."""
