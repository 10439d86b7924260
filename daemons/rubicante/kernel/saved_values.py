"""Former values of kernel files, saved on disk before a change, and restored from there.

A crash between the two writes loses nothing. Values from before the machine's last boot are void:
the kernel has lost the change too.
"""

import json
import os
from pathlib import Path

from daemons.rubicante.kernel.system import System
from k40s.errors import KernelError

_BOOT_ID = "sys/kernel/random/boot_id"


class SavedValues:
    """Name → former value, in one small JSON file.

    Raises ``KernelError`` when it cannot be read or written: the kernel then stays as it is. It is
    read each time, because another back end may have written it.
    """

    def __init__(self, *, system: System, proc: Path, file: Path) -> None:
        self._file = file
        self._boot = system.read(proc / _BOOT_ID).strip()
        self._load()

    def values(self) -> dict[str, str]:
        """A copy of all values."""
        return self._load()

    def note(self, name: str, value: str) -> None:
        """Save a value, durably, unless an older one is saved by this name."""
        values = self._load()
        if name not in values:
            self._save({**values, name: value})

    def forget(self, *names: str) -> None:
        """Forget values that have been restored, or whose owner is gone."""
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
            raise KernelError(f"{self._file} holds something else than saved values")
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
