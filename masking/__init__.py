"""Which tokens are hidden, what replaces them, what is predicted. Knows neither torch nor shards."""
