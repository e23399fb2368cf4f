"""Effects on the world, one channel a file, behind the interface in `effect`."""
