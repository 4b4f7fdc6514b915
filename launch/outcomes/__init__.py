"""What comes out of a trained run: figures on held-out documents and an exported model."""
