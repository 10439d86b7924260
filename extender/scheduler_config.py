"""``python -m extender.scheduler_config TEMPLATE TARGET``: kube-scheduler's configuration.

kube-scheduler reads its file as it is. What is known only where the pod runs stands in the shipped
file as ``$(K40S_NAME)``, as in a container's command, and is written here from the environment.
"""

import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from k40s.runtime.settings import SettingsError

_VARIABLE = re.compile(r"\$\((K40S_[A-Z_]*)\)")
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?", re.ASCII)
_USAGE = "usage: python -m extender.scheduler_config TEMPLATE TARGET"


def fill(template: str, environment: Mapping[str, str]) -> str:
    """Replace each ``$(K40S_NAME)`` by the variable's value, the name of an object or a host.

    Raises ``SettingsError`` for all variables that are missing or could be anything but a name.
    """
    names = dict.fromkeys(_VARIABLE.findall(template))
    problems = tuple(
        f"{name}: {_found(environment.get(name))}, expected the name of an object or a host"
        for name in names
        if not _NAME.fullmatch(environment.get(name, ""))
    )
    if problems:
        raise SettingsError(problems)
    return _VARIABLE.sub(lambda match: environment[match[1]], template)


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Write the file; whatever prevents it ends the process with its text."""
    if len(arguments) != 2:  # noqa: PLR2004  # the two that the usage names
        sys.exit(_USAGE)
    template, target = map(Path, arguments)
    try:
        target.write_text(fill(template.read_text(encoding="utf-8"), environment), encoding="utf-8")
    except (SettingsError, OSError, UnicodeDecodeError) as error:
        sys.exit(f"scheduler_config: {error}")


def _found(value: str | None) -> str:
    return "not set" if not value else f"found {value[:80]!r}"


if __name__ == "__main__":
    main(sys.argv[1:], os.environ)
