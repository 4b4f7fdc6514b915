"""Several evaluated models side by side."""
