"""The encoder over packed rows."""
