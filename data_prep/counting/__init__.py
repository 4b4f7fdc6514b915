"""What is counted over a whole corpus: mined lexicons and the statistics of a report."""
