"""Root file systems out of Debian's packages."""

from collections.abc import Sequence
from pathlib import Path

from localcluster.host.commands import run

BARE_PACKAGES = ("python3", "base-files", "dash", "coreutils", "util-linux", "libc-bin")

_SUITE = "bookworm"
_UNREAD = ("doc", "info", "lintian", "locale", "man")
"""Below /usr/share; every file less is one less to unpack on every node."""

_COMPILE = (
    "import compileall, py_compile, sysconfig; compileall.compile_dir(sysconfig.get_path('stdlib'),"
    " quiet=2, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)"
)
"""No maintainer script does it, and every start of Python would compile its imports again."""

_TIMEOUT = 900


def recipe(packages: Sequence[str]) -> tuple[str, ...]:
    """The command that makes such a file system, but for the target: what a cache depends on."""
    return (
        *("mmdebstrap", "--quiet", "--variant=extract", "--mode=root", "--format=tar"),
        *(f'--extract-hook=rm -rf "$1/usr/share/{name}"' for name in _UNREAD),
        f'--extract-hook=test ! -e "$1/usr/bin/python3" || chroot "$1" python3 -c "{_COMPILE}"',
        *(f"--include={','.join(packages)}", _SUITE),
    )


def bootstrap(target: Path, packages: Sequence[str]) -> None:
    """Unpack packages and what they depend on into the tar archive ``target``.

    No maintainer script runs; nothing is configured. Python's library is compiled, where there is.
    """
    run([*recipe(packages), target], timeout=_TIMEOUT)
