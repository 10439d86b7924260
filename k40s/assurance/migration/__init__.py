"""Migration of critical pods from nodes that no longer satisfy them: the plan, without I/O.

Instants are nanoseconds of the wall clock since 1970: they are written to the cluster, and the next
leader of the controller reads them.
"""
