"""The rules of preemption, as functions of values: no I/O, no clock."""
