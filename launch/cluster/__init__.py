"""Working with the queue of a cluster."""
