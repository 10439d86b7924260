"""The k40s model as a library: workloads, analyses, assurance, and their text forms.

Pure: ``cpu`` (admission and analyses), ``assurance``, ``simulation``, ``annotations``,
``reasons``, ``strict_json``. For processes: ``kube`` (the API server), ``http``, ``pki``,
``node_api`` (extender and rubicante), ``node_agent`` (node daemons), ``admission_plugins``
(installed tests), ``runtime`` (settings, log, store).
"""
