"""Which masking strategy buys what: equal data, model, steps and seeds (see __main__.py)."""
