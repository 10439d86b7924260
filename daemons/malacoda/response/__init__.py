"""The response to a named culprit: the shell of ``k40s.assurance.response``.

It judges after each sample, in a thread of its own, and asks the actuator for acts.
"""
