"""What a node gets: files rendered from the plan, packed for the first boot, completed with late values."""
