"""Pure: spec and lock in, names, addresses and rules out."""
