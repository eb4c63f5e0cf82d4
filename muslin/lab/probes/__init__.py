"""Small programs that run inside pods and tell what packets do. Standard library only: they start as `python -IS`."""
