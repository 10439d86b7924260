"""``python -m daemons.malacoda``: reads the environment, runs until SIGTERM or SIGINT."""

import logging
import os
import sys
import threading
from collections.abc import Mapping

from daemons.malacoda.daemon import Malacoda
from daemons.malacoda.settings import Settings
from k40s.node_agent.process import run_agent, stop_on_signals

log = logging.getLogger("daemons.malacoda")


def main(environ: Mapping[str, str], stop: threading.Event) -> int:
    """Run until ``stop`` is set; returns the exit code."""
    return run_agent(Settings, Malacoda, environ, stop, log=log)


if __name__ == "__main__":
    sys.exit(main(os.environ, stop_on_signals()))
