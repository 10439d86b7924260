"""``python -m bench.rubicante.ordinary``: rubicante, but no thread becomes a real-time one.

For measurements on a machine whose real-time bandwidth is in use otherwise. Cgroups are made and
threads are moved; their budgets and policies are recorded instead of set.
"""

from pathlib import Path

from daemons.rubicante import __main__
from daemons.rubicante.kernel import system


class OrdinaryKernel(system.LinuxSystem):
    """The running kernel, as far as nothing is real-time."""

    def __init__(self, *, dry_run: bool = False) -> None:
        super().__init__(dry_run=dry_run)
        self._budgets: dict[Path, str] = {}
        self._policies: dict[int, tuple[int, int]] = {}

    def read(self, path: Path) -> str:
        return self._budgets.get(path) or super().read(path)

    def write(self, path: Path, text: str) -> None:
        if path.name.startswith("cpu.rt_"):
            self._budgets[path] = text
        else:
            super().write(path, text)

    def remove_directory(self, path: Path) -> None:
        super().remove_directory(path)
        for budget in [file for file in self._budgets if file.parent == path]:
            del self._budgets[budget]

    def policy(self, tid: int) -> tuple[int, int]:
        return self._policies.get(tid) or super().policy(tid)

    def set_policy(self, tid: int, policy: int, priority: int) -> None:
        self._policies[tid] = policy, priority


if __name__ == "__main__":
    setattr(system, "LinuxSystem", OrdinaryKernel)  # noqa: B010  # what the worker will import
    __main__.main()
