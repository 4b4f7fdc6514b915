"""Linear probes of the layers of a frozen encoder."""
