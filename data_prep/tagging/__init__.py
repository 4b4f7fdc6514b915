"""Parts of speech: who finds them, and patterns over them."""
