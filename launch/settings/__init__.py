"""Configuration files become components, and components become plain values, schemas and recipes."""
