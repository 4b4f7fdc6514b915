"""Where words, phrases, entities and markers come from: lexicon files, user dictionaries, spaCy pipelines, parts of speech."""
