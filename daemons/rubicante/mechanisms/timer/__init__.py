"""The timer that ends SCHED_DEADLINE budgets: switched on, watched, and how late it is here."""
