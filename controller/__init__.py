"""The controller: moves critical pods off reduced nodes, and collects what pods leave on networks.

One of its replicas leads and acts; the others watch. It keeps no state of its own: what it must not
forget is on the pods, on its Lease and in the status of Networks.
"""
