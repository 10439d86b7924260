"""Write a docker archive, as ``ctr images import`` reads it, of one layer; equal in, equal out."""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageConfiguration:
    """Default command and environment of an image; ``machine`` is as of ``uname -m``."""

    name: str
    machine: str
    entrypoint: Sequence[str] = ()
    command: Sequence[str] = ()
    environment: Mapping[str, str] | None = None


def pack_files(target: Path, files: Mapping[str, bytes], image: ImageConfiguration) -> Path:
    """Make an image of these executables only; keys are paths without the leading slash."""
    layer = target.with_suffix(".layer")
    with tarfile.open(layer, "w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.mode = 0o755
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    try:
        return pack_layer(target, layer, image)
    finally:
        layer.unlink()


def pack_layer(target: Path, layer: Path, image: ImageConfiguration) -> Path:
    """Make an image of one layer, an uncompressed tar of a root file system."""
    digest = _digest(layer)
    config = json.dumps(_configuration(image, digest)).encode()
    manifest = [
        {
            "Config": f"{hashlib.sha256(config).hexdigest()}.json",
            "RepoTags": [image.name],
            "Layers": [f"{digest}.tar"],
        }
    ]
    part = target.with_suffix(".part")
    with tarfile.open(part, "w") as tar:
        tar.add(layer, arcname=f"{digest}.tar", filter=_anonymous)
        for name, content in (
            (str(manifest[0]["Config"]), config),
            ("manifest.json", json.dumps(manifest).encode()),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return part.replace(target)


def _configuration(image: ImageConfiguration, layer: str) -> dict[str, object]:
    environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    environment.update(image.environment or {})
    return {
        "architecture": _ARCHITECTURES.get(image.machine, image.machine),
        "os": "linux",
        "config": {
            "Env": [f"{key}={value}" for key, value in environment.items()],
            "Entrypoint": list(image.entrypoint) or None,
            "Cmd": list(image.command) or None,
        },
        # buildah refuses to build on an image whose history lacks its layers
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "k40s local"}],
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer}"]},
    }


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.mtime = 0
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member
