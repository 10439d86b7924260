"""The node daemons: malacoda (assurance monitor), rubicante (CPU admission)."""
