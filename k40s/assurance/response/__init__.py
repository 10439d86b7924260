"""Stage 2's acts against a culprit and their undoing, and the gauge of harm. Pure.

Malacoda gauges harm, and carries out reversible acts (daemons.malacoda.response,
daemons.malacoda.actuator).
"""
