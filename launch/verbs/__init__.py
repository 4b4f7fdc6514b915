"""The verbs of `kmask`: one file a verb holds its arguments and makes the call."""
