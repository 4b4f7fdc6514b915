"""Can a task be answered without reading? A logistic regression on lengths, positions, sources and overlap tells."""
