"""Pins one more kube-scheduler: ``python -m localcluster.images.pin_scheduler v1.36.3``.

Kubernetes replaces its own libraries by directories of its repository, which a module that uses it
has to replace by their published versions. Which ones differs from version to version, so the list
is made from the go.mod of that version.
"""

import json
import re
import sys
from pathlib import Path

from k40s.errors import K40sError
from localcluster.host.commands import run
from localcluster.images.schedulers import MODULES, minor

_STAGED = re.compile(r"^\s*(?:replace )?(\S+) => \./staging/src/\S+$", re.MULTILINE)
_GO = re.compile(r"^go \S+$", re.MULTILINE)
_TIMEOUT = 600


def module_text(version: str, upstream: str) -> str:
    """The go.mod of ``v1.36.3``'s kube-scheduler; ``upstream`` is the go.mod of Kubernetes.

    Raises ``ValueError`` where that one states no version of Go.
    """
    go = _GO.search(upstream)
    if go is None:
        raise ValueError("the go.mod of Kubernetes states no version of Go")
    library = version.replace("v1.", "v0.", 1)
    replaced = [f"\t{name} => {name} {library}" for name in _STAGED.findall(upstream)]
    parts = (
        "module k40s.io/localcluster/scheduler",
        go[0],
        "tool k8s.io/kubernetes/cmd/kube-scheduler",
        f"require k8s.io/kubernetes {version}",
        "\n".join(["replace (", *replaced, ")"]),
    )
    return "\n\n".join(parts) + "\n"


def pin(version: str, *, modules: Path = MODULES) -> Path:
    """Write the module and let Go complete it. Raises ``CommandError``."""
    minor(version)
    asked = ["go", "mod", "download", "-json", f"k8s.io/kubernetes@{version}"]
    downloaded = json.loads(run(asked, timeout=_TIMEOUT, directory=Path("/")))
    upstream = Path(downloaded["GoMod"]).read_text(encoding="utf-8")
    module = modules / version
    module.mkdir(exist_ok=True)
    (module / "go.mod").write_text(module_text(version, upstream), encoding="utf-8")
    run(["go", "mod", "tidy"], timeout=_TIMEOUT, directory=module)
    return module


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{pin(sys.argv[1])}\n")
    except (K40sError, IndexError) as error:
        sys.exit(f"pin_scheduler: {error}")
