"""`kmask show masks`: samples under every masking scheme, compared, then drawn on a terminal or a page."""
