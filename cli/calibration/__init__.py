"""``k40s calibrate``: what a machine is, how fast, and what harms its tasks."""
