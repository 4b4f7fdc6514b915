"""From shards to batches: windows, samples, rows, masks, tensors."""
