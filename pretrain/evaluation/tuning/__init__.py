"""Training of an encoder, or of a head on its frozen states, for a task with labels."""
