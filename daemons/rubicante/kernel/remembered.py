"""What files of the kernel held before we changed them, kept on disk to be put back.

It is written before the kernel is, so that a crash between the two loses nothing. What was
written before the machine's last boot is void: the kernel has forgotten our change too.
"""

import json
import os
from pathlib import Path

from daemons.rubicante.kernel.system import System
from k40s.errors import KernelError

_BOOT_ID = "sys/kernel/random/boot_id"


class Remembered:
    """Name → former value, in one small JSON file.

    Raises ``KernelError`` when it cannot be read or written: the kernel then stays as it is. It is
    read each time, since the one that another back end has written counts.
    """

    def __init__(self, *, system: System, proc: Path, file: Path) -> None:
        self._file = file
        self._boot = system.read(proc / _BOOT_ID).strip()
        self._load()

    def values(self) -> dict[str, str]:
        """All of it, a copy."""
        return self._load()

    def note(self, name: str, value: str) -> None:
        """Remember a value, durably, unless an older one is remembered by this name."""
        values = self._load()
        if name not in values:
            self._save({**values, name: value})

    def forget(self, *names: str) -> None:
        """Forget values that have been put back or whose owner is gone."""
        values = self._load()
        if not values.keys().isdisjoint(names):
            self._save({k: v for k, v in values.items() if k not in names})

    def _load(self) -> dict[str, str]:
        try:
            found = json.loads(self._file.read_text())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise KernelError(f"{self._file}: {error}") from error
        if not isinstance(found, dict) or not isinstance(found.get("values"), dict):
            raise KernelError(f"{self._file} holds something else than remembered values")
        if found.get("boot") != self._boot:
            return {}
        return {str(name): str(value) for name, value in found["values"].items()}

    def _save(self, values: dict[str, str]) -> None:
        draft = self._file.with_name(self._file.name + ".new")
        try:
            with draft.open("w") as stream:
                json.dump({"boot": self._boot, "values": values}, stream)
                stream.flush()
                os.fsync(stream.fileno())
            draft.replace(self._file)
        except OSError as error:
            raise KernelError(f"{self._file}: {error}") from error
