"""Why a pod does not run, or how it does: the extender's explanation, and the pod's story."""
