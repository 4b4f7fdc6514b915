"""Raw text to final text, and which documents stay: normalisation, quality, duplicates, decontamination."""
