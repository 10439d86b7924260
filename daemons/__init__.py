"""The node daemons: malacoda (assurance monitor), rubicante (CPU admission).

A new daemon starts from ``k40s.node_agent``.
"""
