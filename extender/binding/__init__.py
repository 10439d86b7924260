"""The steps of bind: the node's reservation, the API server's Binding, and the outcome.

``verbs.bind.Binder`` calls them in order, and undoes them in reverse: a step that changes something
takes the ``ExitStack`` named ``undo``, registers its undoing there before it can fail, and returns
its result or a ``BindResult``. ``extender.assembly.binding`` assembles them.
"""
