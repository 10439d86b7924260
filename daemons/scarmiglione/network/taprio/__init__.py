"""Stock Linux: gate schedules (IEEE 802.1Qbv) by the queueing discipline ``taprio``."""
