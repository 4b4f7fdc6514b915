"""Discourse markers, and the pairs of sentences that they join."""
