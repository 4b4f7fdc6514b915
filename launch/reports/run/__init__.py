"""`kmask report`: what came of one training run or of several, on the terminal, as a page and as JSON."""
