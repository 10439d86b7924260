"""Sixteen extenders that bind a thousand pods at once to two networks, on a real API server.

    python -m bench.extender.network_binders [--pods 1000]

Prints how the binds ended and what the independent check found (it must find nothing).
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from localcluster.host.paths import cache_root
from localcluster.images.binaries import ensure_binaries
from localcluster.plane.control_plane import ControlPlane
from localcluster.progress import Progress
from tests.fakes.extender.network_crowd import Crowd, create_networks, describe, timed
from tests.fakes.registered_nodes import Api, prepare


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pods", type=int, default=1000)
    options = parser.parse_args()
    progress = Progress(lambda text: print(text, end="", file=sys.stderr, flush=True))
    binaries = ensure_binaries(None, cache=cache_root(os.environ), progress=progress)
    with (
        tempfile.TemporaryDirectory() as place,
        ControlPlane.on_loopback(directory=Path(place), binaries=binaries) as plane,
    ):
        api = Api(plane)
        prepare(api)
        create_networks(api)
        crowd = Crowd(plane=plane, api=api, count=options.pods)
        pods = crowd.create()
        seconds = timed(lambda: crowd.bind(pods))
        print(describe(crowd, seconds))
        print("faults:", crowd.faults() or "none")
        crowd.remove()
        left = sum(len(state.reservations) for state in crowd.states().values())
        print("reservations left after all pods are gone:", left)
        api.close()


if __name__ == "__main__":
    main()
