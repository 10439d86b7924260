"""Why a pod is where it is, or nowhere: what the extender says and people read. Pure."""
