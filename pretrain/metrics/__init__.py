"""Figures of a run: sums between two lines, and files of one JSON object a line."""
