"""Puts values into files of cgroups and back, and makes sure that they are there."""

import errno
import logging
from collections.abc import Sequence

from daemons.malacoda.actuator.holds import Write
from daemons.malacoda.actuator.kernel import CgroupFiles, is_v1
from k40s.errors import KernelError
from k40s.units import format_cpu_list, parse_cpu_list

log = logging.getLogger(__name__)

_GONE = (errno.ENOENT, errno.ENODEV)
"""What the kernel says of a cgroup that has just been removed."""


def put_value(files: CgroupFiles, path: str, text: str) -> None:
    """Write a value and read it back. A cgroup that is gone needs none. Raises ``KernelError``."""
    try:
        files.write(path, text)
        there = files.read(path)
    except OSError as error:
        if error.errno in _GONE:
            return
        raise KernelError(f"{path} = {text}: {error.strerror}") from error
    if there != text:
        raise KernelError(f"{path} = {text}: reads {there}")


def restore_values(files: CgroupFiles, uid: str, writes: Sequence[Write]) -> None:
    """Restore what was there, the last write first.

    One that cannot be restored holds no other back; then the first error is raised: ``OSError`` or
    ``KernelError``.
    """
    failed: OSError | KernelError | None = None
    for write in reversed(writes):
        try:
            _restore(files, uid, write)
        except (OSError, KernelError) as error:
            failed = failed or error
    if failed is not None:
        raise failed


def _restore(files: CgroupFiles, uid: str, write: Write) -> None:
    """Write back what was there, unless the cgroup is gone or somebody else has written."""
    try:
        there = files.read(write.path)
    except OSError as error:
        if error.errno in _GONE:
            return
        raise
    before, after = (_present(files, write.path, text) for text in (write.before, write.after))
    if there in (write.after, after):
        put_value(files, write.path, before)
    elif there not in (write.before, before):
        extra = {"pod": uid, "file": write.path, "value": there}
        log.warning("value of somebody else left", extra=extra)


def _present(files: CgroupFiles, path: str, text: str) -> str:
    """A value of v1's ``cpuset.cpus`` without CPUs that are offline; any other value as it is.

    The kernel takes such CPUs out of every cpuset of v1, and takes no value that has them.
    """
    tree = path.partition("/")[0]
    if path.rpartition("/")[2] != "cpuset.cpus":
        return text
    try:
        if not is_v1(files, tree):
            return text
        online = parse_cpu_list(files.read(f"{tree}/cpuset.cpus"))
        return format_cpu_list(set(parse_cpu_list(text)).intersection(online)) or text
    except (OSError, ValueError):
        return text
