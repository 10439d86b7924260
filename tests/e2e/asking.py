"""An operator's commands as processes: ``k40s`` and kubectl with a kubeconfig and a token."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from localcluster.cluster import Cluster
from localcluster.images.cluster_images import PROJECT

_K40S = (sys.executable, "-c", "from cli.main import main; main()")
_SECONDS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a command wrote, and its exit status."""

    status: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """Someone at a shell. ``token`` is a file with the token of the account ``k40s-viewer``."""

    environment: Mapping[str, str]
    token: Path

    def explain(self, *words: str, stdin: str = "") -> Answer:
        """``k40s explain``: the port is forwarded by kubectl."""
        return self._run([*_K40S, "explain", f"--token-file={self.token}", *words], stdin)

    def k40s(self, *words: str) -> Answer:
        """Any other command of k40s."""
        return self._run([*_K40S, *words], "")

    def events_of(self, pod: str) -> Answer:
        """The command that docs/situations.md has for a pod that is gone."""
        chosen = f"--field-selector=involvedObject.name={pod}"
        return self._run(["kubectl", "get", "events", chosen], "")

    def _run(self, command: Sequence[str], stdin: str) -> Answer:
        done = subprocess.run(
            command,
            input=stdin,
            env=self.environment,
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
        return Answer(status=done.returncode, text=done.stdout + done.stderr)


def operator_of(cluster: Cluster, directory: Path) -> Operator:
    """An operator of the cluster; the directory keeps the token."""
    token = directory / "token"
    token.write_text(
        cluster.kubectl("--namespace=k40s-system", "create", "token", "k40s-viewer"),
        encoding="ascii",
    )
    programs = (str(cluster.plane().binaries.directory), os.environ["PATH"])
    return Operator(
        environment={
            **os.environ,
            "KUBECONFIG": str(cluster.kubeconfig),
            "PATH": os.pathsep.join(programs),
        },
        token=token,
    )
