"""Stage 2 of the monitor: names the pod that causes a hazard. Nothing is done to it."""
