"""The controller: moves critical pods, has them preempt others, collects what pods leave behind.

One of its replicas leads and acts; the others watch. It keeps no state of its own: what it must not
forget is on the pods, on its Lease and in the status of Networks.
"""
