"""Knowledge masking as a collator, for anybody's own training loop."""
