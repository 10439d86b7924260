"""``python -m controller``: reads the environment, runs until SIGTERM or SIGINT."""

import logging
import os
import sys

from controller.process import Controller
from controller.settings import ControllerSettings
from k40s.node_agent.process import run_agent, stop_on_signals

log = logging.getLogger("controller")


def main() -> None:
    """Exits with 2 for invalid settings, with 1 when it cannot start."""
    stop = stop_on_signals()
    sys.exit(run_agent(ControllerSettings, Controller, os.environ, stop, log=log))


if __name__ == "__main__":
    main()
