"""Machines that boot from the very user data that a deploy would send, and drills that break them."""
