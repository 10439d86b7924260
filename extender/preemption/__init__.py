"""Preemption: whom a pod may displace, and room that is held for pods which are about to be bound.

``plan`` decides, ``choice`` compares nodes, ``search`` finds the least set of victims, ``trial``
runs the whole admission as if some pods were gone (``removal``), ``held_room`` refuses pods that
would take claimed room, ``groups`` passes the members of a pod group one node each,
``whole_states`` asks daemons for what their nodes could not publish.
"""
