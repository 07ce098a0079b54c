"""What the constructs of every platform share: names, user data, and the traffic table seen from one role."""
