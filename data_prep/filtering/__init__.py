"""Which documents stay: language, quality, duplicates, decontamination."""
