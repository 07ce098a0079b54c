"""Contracts between dev and ops, and what they compile to."""
