"""The enforcement mechanisms of a node, behind one port: rt-cgroup and SCHED_DEADLINE.

A third one is a package here that implements ``back_end.BackEnd``. What the kernel offers for it
is found in ``capability``; it is assembled in ``node``, and in ``give_back.interfaces`` for the
process that returns everything. Release (``enforcement.release``) and ``give_back.inventory``
know what each mechanism leaves in the kernel.
"""
