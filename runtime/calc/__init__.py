"""From resources to the state one node must have: pure."""
