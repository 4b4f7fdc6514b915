"""WordPiece vocabularies: trained, taken over, looked at, extended."""
