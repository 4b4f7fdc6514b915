"""What users write down about words: lexicons, user dictionaries, spaCy's patterns, similar words."""
