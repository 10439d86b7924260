"""Exchanges of a live core's servers: make before break, one reservation after the other.

``exchanges`` decides and writes when a step begins, when it ends, and when the newcomer arrives;
``two_groups`` is how a reservation is enforced while it has two budget groups, and how its threads
move. What holds at each point is pure (``k40s.cpu.admission.exchange``), and so is what the book
keeps of it (``daemons.rubicante.book.progress``).
"""
