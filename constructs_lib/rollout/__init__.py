"""Changes nodes that run: compares, sends a generation, applies it one node at a time, goes back."""
