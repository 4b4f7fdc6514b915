"""Objectives, model, schedule and the training loop."""
