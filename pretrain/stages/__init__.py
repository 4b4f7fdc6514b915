"""Stages of a run: what they are, and whether they can be trained."""
