"""Real-time CPU: tasks, servers, schedulability tests, budget synthesis, admission. All pure."""
