"""The newcomer's app, and the same clouds written by hand from the constructs."""
