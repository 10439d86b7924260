"""Analysis and simulation of task sets and nodes before deployment, with reports and plots."""
