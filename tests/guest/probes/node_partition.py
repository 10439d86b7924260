"""Runs in a guest: a local cluster's cgroups on a machine of v2, and SCHED_DEADLINE in its node's.

Prints one JSON object a line: the fact's name, and its value.
"""

import json
import os
import sys
import time
from pathlib import Path

from daemons.rubicante.mechanisms.deadline.assembly import ask_for_deadline
from daemons.rubicante.mechanisms.paths import KernelPaths
from k40s.units import NS_PER_MS, Nanoseconds
from localcluster.host.cgroups import Binding
from localcluster.host.unified import Controllers, UnifiedTree
from tests.guest.deadline_pods import ATTRIBUTES, PROC, SYSTEM, wait_until_forgotten

ROOT = Path("/sys/fs/cgroup")
EDGE = "k40s-p-edge-1"
OTHER = "k40s-p-edge-2"


def tell(fact: str, value: object) -> None:
    sys.stdout.write(json.dumps({"fact": f"node-{fact}", "value": value}) + "\n")
    sys.stdout.flush()


def read(path: str) -> str:
    return (ROOT / path).read_text().strip()


def make(name: str, cpus: str, binding: Binding) -> tuple[UnifiedTree, str]:
    tree = UnifiedTree(name, root=ROOT)
    return tree, tree.create(cpus=cpus, below="system", binding=binding)


def ask() -> str:
    """What a daemon of the node is offered, with a pods' cgroup beside it."""
    pods = ROOT / EDGE / "kubepods"
    pods.mkdir()
    paths = KernelPaths(
        proc=PROC,
        debug=Path("/sys/kernel/debug/sched"),
        saved_values=Path("/run/node-cpusets.json"),
        unified=ROOT,
        pods=pods,
    )
    support, _ = ask_for_deadline(
        system=SYSTEM,
        attributes=ATTRIBUTES,
        paths=paths,
        prefix="k40s-rt-p",
        cores={1},
        tick=Nanoseconds(4 * NS_PER_MS),
        held={},
        load_balance_off=False,
        wait=time.sleep,
        patience=0,
    )
    return support.offer.domain.value if support.offer else "; ".join(support.problems)


def in_node(tree: UnifiedTree) -> None:
    pid = os.fork()
    if pid == 0:
        tree.adopt(os.getpid(), below="system")
        tell("affinity", sorted(os.sched_getaffinity(0)))
        tell("offer", ask())
        os._exit(0)
    os.waitpid(pid, 0)


def main() -> None:
    controllers = Controllers(ROOT)
    before, missing, known = (
        read("cgroup.subtree_control"),
        controllers.missing(),
        controllers.groups(),
    )
    edge, why = make(EDGE, "1", Binding.ALONE)
    tell("why", why)
    tell("again", make(EDGE, "1", Binding.ALONE)[1])
    tell("partition", read(f"{EDGE}/cpuset.cpus.partition"))
    tell("left", read("cpuset.cpus.effective"))
    other, _ = make(OTHER, "0", Binding.BOUND)
    tell("other-names", read(f"{OTHER}/cpuset.cpus"))
    in_node(edge)
    wait_until_forgotten()
    edge.remove()
    other.remove()
    tell("left-after", read("cpuset.cpus.effective"))
    controllers.take_back(missing, known=known)
    tell(
        "controllers-as-before",
        sorted(before.split()) == sorted(read("cgroup.subtree_control").split()),
    )


if __name__ == "__main__":
    main()
