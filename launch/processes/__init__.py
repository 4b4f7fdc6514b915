"""The processes of a training run: starting them, what each of them does, and what a start would do."""
