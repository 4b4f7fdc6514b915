"""What is counted over a whole corpus: mined lexicons, document frequencies, the statistics of a report."""
