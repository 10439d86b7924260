"""The admission webhook: refuses bad annotations at ``kubectl apply``, and fills in defaults.

Each request is decided by its own object, and by the bounds of its namespace (Tenants). Every
replica keeps its CA certificate in the two webhook configurations, so certificates rotate without a
restart.
"""
