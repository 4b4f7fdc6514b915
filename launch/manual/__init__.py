"""What writes docs/: every key of a configuration and every masking scheme, from the code itself."""
