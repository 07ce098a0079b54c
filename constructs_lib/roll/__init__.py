"""Replacing running nodes, one at a time, each only after every other one was seen to be healthy."""
