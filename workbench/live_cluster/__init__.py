"""A live cluster as its API server tells it to the caller: once, or followed by watches."""
