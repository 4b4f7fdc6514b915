"""How the parts of a plan get done exactly once, by any engine, whatever dies on the way."""
