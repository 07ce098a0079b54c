"""What runs on a node: modules that travel there together as one text, see `travel.py`."""
