"""The files of a machine as they were recorded: one YAML file for each machine."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import yaml

MACHINES = Path("tests/fixtures/doctor")


class RecordedFiles:
    """Implements the doctor's ``Files``: texts by absolute path, and paths that are refused."""

    def __init__(self, texts: Mapping[str, str | bytes], denied: tuple[str, ...] = ()) -> None:
        self.texts = dict(texts)
        self.denied = set(denied)

    def read(self, path: str) -> bytes:
        self._check(path)
        if path not in self.texts:
            raise FileNotFoundError(2, "No such file or directory", path)
        text = self.texts[path]
        return text.encode() if isinstance(text, str) else text

    def directories(self, path: str) -> tuple[str, ...]:
        self._check(path)
        depth = len(PurePosixPath(path).parts)
        below = [
            PurePosixPath(name).parts
            for name in self.texts
            if PurePosixPath(name).is_relative_to(path)
        ]
        if not below:
            raise FileNotFoundError(2, "No such file or directory", path)
        return tuple(sorted({parts[depth] for parts in below if len(parts) > depth + 1}))

    def _check(self, path: str) -> None:
        if any(PurePosixPath(path).is_relative_to(name) for name in self.denied):
            raise PermissionError(13, "Permission denied", path)


def recorded(machine: str) -> RecordedFiles:
    """The machine of this name; ``configuration`` of a record names a file of kernel options."""
    found = yaml.safe_load((MACHINES / f"{machine}.yaml").read_text(encoding="utf-8"))
    texts = dict(found["files"])
    if name := found.get("configuration"):
        release = texts["/proc/sys/kernel/osrelease"].strip()
        path = Path("tests/fixtures/kernels") / f"{name}.config"
        texts[f"/boot/config-{release}"] = path.read_text(encoding="utf-8")
    return RecordedFiles(texts, tuple(found.get("denied", ())))
