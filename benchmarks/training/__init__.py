"""What bench_train.py measures."""
