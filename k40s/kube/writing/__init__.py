"""What k40s changes in objects that are not its own records: pods, evictions, statuses."""
