"""Whether the node itself was in sight."""

from workbench.doctor.facts import Facts

ON_THE_NODE = "run it on the node, or in a pod that sees the node's root: k40s doctor --root /host"


def sees_node(facts: Facts) -> bool:
    """Whether cgroups are the node's own, and not what a container is shown."""
    return facts.rights.sees_host or not facts.whole
