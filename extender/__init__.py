"""kube-scheduler's HTTP extender: filter, prioritize and bind from a watched cache."""
