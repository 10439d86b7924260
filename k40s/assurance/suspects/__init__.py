"""Stage 2 of the monitor: which pod causes a hazard, by its share of the rise. Pure."""
