"""Planning: what a run needs of each device, computed before it starts."""
