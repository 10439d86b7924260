"""Decisions: which nodes may take a pod (candidates, admission) and how well each suits (score)."""
