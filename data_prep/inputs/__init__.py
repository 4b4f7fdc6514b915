"""Bytes and lines: what the readers of corpora/ and of word lists are made of."""
