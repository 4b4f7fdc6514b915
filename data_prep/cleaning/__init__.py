"""Raw text to final text, without a language: Unicode, white space, scripts, and what the quality rules look at."""
