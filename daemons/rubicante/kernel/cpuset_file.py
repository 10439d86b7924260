"""Files of cpusets, which come and go with pods."""

import errno
from pathlib import Path

from daemons.rubicante.kernel.system import System
from k40s.errors import KernelError

GONE = (errno.ENOENT, errno.ENODEV)
"""What the kernel answers for a cpuset that is not there any more."""


def read_cpuset(system: System, path: Path) -> str | None:
    """The text of a cpuset's file; None where the cpuset is gone. Raises ``KernelError``."""
    try:
        return system.read(path).strip()
    except OSError as error:
        if error.errno in GONE:
            return None
        raise KernelError(f"{path}: {error}") from error
