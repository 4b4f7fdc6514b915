"""Processes of a run: this one among all, requests to stop, and the lock on the run's folder."""
