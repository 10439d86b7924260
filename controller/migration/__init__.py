"""Moving pods: whom, where to, how, and what is said about it."""
