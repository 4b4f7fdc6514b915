"""What `kmask prepare`, `kmask lexicon` and `kmask vocab` do between their arguments and data_prep."""
