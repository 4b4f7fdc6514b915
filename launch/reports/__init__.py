"""Pages that sum up what was made."""
