"""The watched cluster: levels of nodes, and the pods that may have to move."""
