"""Pip's index configuration of this machine, for the RUN steps of an image build. Pure.

The Dockerfile names no address: what the machine's pip is configured for is mounted at build time
and is not part of the image.
"""

import configparser
from collections.abc import Iterable, Mapping
from pathlib import Path

_SECTIONS = ("global", "install")
_PREFIX = "PIP_"
_OWN_PATHS = ("cert", "client-cert", "find-links")
_IGNORED = {"config-file", "no-input", "user", "target", "prefix", "require-virtualenv", "log"}


def configuration_files(environ: Mapping[str, str], *, prefix: Path) -> list[Path]:
    """Pip's configuration files, later ones winning; ``prefix`` is the Python environment's."""
    home = Path(environ.get("HOME") or Path.home())
    paths = [
        Path("/etc/xdg/pip/pip.conf"),
        Path("/etc/pip.conf"),
        home / ".pip/pip.conf",
        home / ".config/pip/pip.conf",
        prefix / "pip.conf",
    ]
    extra = environ.get("PIP_CONFIG_FILE")
    return [*paths, Path(extra)] if extra else paths


def merge_settings(texts: Iterable[str], environ: Mapping[str, str]) -> dict[str, str]:
    """Pip's settings out of the texts of its files and of ``PIP_*``, which win."""
    settings: dict[str, str] = {}
    for text in texts:
        parser = configparser.RawConfigParser()
        parser.read_string(text)
        for section in _SECTIONS:
            if parser.has_section(section):
                settings.update({_option(key): value for key, value in parser.items(section)})
    for key, value in environ.items():
        if key.startswith(_PREFIX) and value:
            settings[_option(key.removeprefix(_PREFIX))] = value
    return {key: value for key, value in sorted(settings.items()) if key not in _IGNORED}


def format_settings(settings: Mapping[str, str]) -> str:
    """Write a ``pip.conf``."""
    lines = [f"{key} = {' '.join(value.split())}" for key, value in settings.items()]
    return "\n".join(["[global]", *lines, ""])


def mounted_paths(settings: Mapping[str, str]) -> list[Path]:
    """Files and directories of this machine that the settings name."""
    words = [word for key in _OWN_PATHS for word in settings.get(key, "").split()]
    return [Path(word) for word in words if word.startswith("/")]


def _option(key: str) -> str:
    return key.lower().replace("_", "-")
