"""Pictures of analyses and simulations; matplotlib is imported when one is drawn."""
