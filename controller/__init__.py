"""The controller: moves critical pods off nodes whose assurance no longer suffices for them.

One of its replicas leads and acts; the others watch. It keeps no state of its own: what it must not
forget is on the pods and on its Lease.
"""
