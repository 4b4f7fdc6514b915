"""The encoder, and the model of encoder and heads."""
