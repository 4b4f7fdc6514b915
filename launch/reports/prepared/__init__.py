"""What is told about a prepared corpus: warnings, a summary on the terminal, and the page of `kmask prepare report`."""
