"""Corpus to shards: documents, sentences, words, phrases and entities, token ids, Arrow files."""
