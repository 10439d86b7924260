"""The machine: namespaces, cgroups, network, processes, files, packages."""
