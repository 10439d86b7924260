"""Write configuration files, and know whether that changed anything."""

from pathlib import Path


def write_changed(path: Path, text: str) -> bool:
    """Write a file unless it says that already; returns whether it changed what was there.

    Programs watch their files: kube-proxy ends itself when its configuration is written again.
    """
    try:
        if path.read_text(encoding="utf-8") == text:
            return False
    except FileNotFoundError:
        pass
    existed = path.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
    return existed
