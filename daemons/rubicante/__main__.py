"""``python -m daemons.rubicante``: reads the environment and serves.

With ``--give-back`` it returns everything that rubicante holds on this node, and exits with 0 when
nothing is left; ``--dry-run`` only lists it. With ``--stay`` it keeps running, and follows the
Node's label ``k40s.io/give-back``.
"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from daemons.rubicante.settings import Settings
from k40s.errors import K40sError
from k40s.http.server import serve
from k40s.http.tls import TlsFiles
from k40s.runtime.log import configure
from k40s.runtime.settings import NODE_FILES, node_environment, read_settings

if TYPE_CHECKING:
    from flask import Flask

    from daemons.rubicante.process import Process

_THREADS = 4
MAX_BODY = 2 << 20
"""``daemons.rubicante.api.app.MAX_READ``, which may be imported after the fork only."""


_FOR_GIVING_BACK = {"K40S_CPUS": "0", "K40S_POD_IP": "127.0.0.1"}
"""Required settings that giving back does not use; the node's file may be gone already."""


def main(arguments: Sequence[str] = ()) -> int:
    """Serve, or give back; invalid settings end the process with a text."""
    wanted = _parse(arguments)
    try:
        given = node_environment(os.environ, NODE_FILES)
        if not wanted.give_back:
            run(read_settings(Settings, given))
            return 0
        return give_back(
            read_settings(Settings, {**_FOR_GIVING_BACK, **{k: v for k, v in given.items() if v}}),
            os.environ,
            stay=wanted.stay,
            dry_run=wanted.dry_run,
        )
    except K40sError as error:
        sys.exit(f"rubicante: {error}")


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m daemons.rubicante", description=__doc__)
    parser.add_argument("--give-back", action="store_true", help="give everything back and end")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be given back")
    parser.add_argument("--stay", action="store_true", help="stay, steered by the Node's label")
    wanted = parser.parse_args(arguments)
    if (wanted.dry_run or wanted.stay) and not wanted.give_back:
        parser.error("--dry-run and --stay go with --give-back (K40S_DRY_RUN is for serving)")
    if wanted.dry_run and wanted.stay:
        parser.error("--stay is steered by the Node's label, whose value may be dry-run")
    return wanted


def give_back(
    settings: Settings, environment: Mapping[str, str], *, stay: bool, dry_run: bool
) -> int:
    """The exit code: 1 where something is left after a minute."""
    from daemons.rubicante.give_back.process import GiveBackProcess  # noqa: PLC0415  # memory
    from k40s.node_agent.process import stop_on_signals  # noqa: PLC0415  # as above

    configure(settings.log_level, sys.stderr)
    process = GiveBackProcess(settings, environment, stop=stop_on_signals())
    return process.stay() if stay else process.run_once(dry_run=dry_run or settings.dry_run)


def run(settings: Settings) -> None:
    """Serve the API and the probes; the loops run in the worker process."""
    configure(settings.log_level, sys.stderr)
    started: list[Process] = []

    def build() -> "Flask":
        from daemons.rubicante.process import Process  # noqa: PLC0415  # after the fork: memory

        started.append(Process(settings, os.environ))
        return started[0].api()

    def halt() -> None:
        for process in started:
            process.halt()

    serve(
        build,
        host=settings.listen_host,
        port=settings.port,
        tls=TlsFiles.in_directory(settings.tls_directory),
        allowed_clients=frozenset(settings.allowed_clients),
        threads=_THREADS,
        max_body=MAX_BODY,
        on_stop=halt,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
