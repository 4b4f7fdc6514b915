"""What passes between the model and an objective in a forward pass."""
