"""The node's stations: the Networks that it is a member of, and a back end for each."""
