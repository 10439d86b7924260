"""Enforcement by rt-cgroups (cgroup v1): budgets of groups, shared, own, or the container's."""
