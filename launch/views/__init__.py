"""What `kmask show` shows: one file a view makes lines of words; a terminal or a page renders them."""
