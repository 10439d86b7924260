"""The extender without TLS, to see what TLS costs. For benchmarks alone."""

import os
import sys
from functools import partial

from extender.__main__ import start
from extender.settings import ExtenderSettings
from k40s.http.server import serve
from k40s.runtime.log import configure
from k40s.runtime.settings import read_settings


def main() -> None:
    settings = read_settings(ExtenderSettings, os.environ)
    configure(settings.log_level, sys.stderr)
    serve(
        partial(start, settings),
        host=settings.host,
        port=settings.port,
        tls=None,
        threads=settings.threads,
    )


if __name__ == "__main__":
    main()
