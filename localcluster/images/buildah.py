"""Build an image from a Dockerfile without a registry and without a daemon."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from localcluster.host.commands import run
from localcluster.host.files import write_changed
from localcluster.images.pip_configuration import (
    configuration_files,
    format_settings,
    merge_settings,
    mounted_paths,
)

_CERTIFICATES = Path("/etc/ssl/certs")
_BUILD_TIMEOUT = 1800
_MAX_LAYERS = 100


class Buildah:
    """Drives buildah with a separate storage, apart from the user's images."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._command = [
            "buildah",
            f"--root={directory / 'storage'}",
            f"--runroot={directory / 'run'}",
            "--storage-driver=overlay",
        ]

    def build(
        self, context: Path, *, base: Path, arguments: Mapping[str, str], name: str, target: Path
    ) -> None:
        """Build ``context``'s Dockerfile on the archive ``base``; ``target`` is an archive too.

        RUN steps use the machine's network and pip's configuration on this machine.
        """
        self._run("pull", "--quiet", f"docker-archive:{base}", timeout=300)
        self._run(
            "build",
            "--quiet",
            "--isolation=chroot",
            "--network=host",
            "--pull-never",
            "--layers",
            *self._mounts(),
            *(f"--build-arg={key}={value}" for key, value in arguments.items()),
            f"--tag={name}",
            str(context),
            timeout=_BUILD_TIMEOUT,
        )
        part = target.with_suffix(".part")
        part.unlink(missing_ok=True)
        self._run("push", "--quiet", name, f"docker-archive:{part}:{name}", timeout=600)
        part.replace(target)
        self._prune()

    def _run(self, *words: str, timeout: float) -> str:
        """Run buildah, which would make /etc/cni to look for networks there."""
        networks = self._directory / "networks"
        networks.mkdir(parents=True, exist_ok=True)
        settings = self._directory / "containers.conf"
        write_changed(settings, f'[network]\nnetwork_config_dir = "{networks}"\n')
        environment = {**os.environ, "CONTAINERS_CONF": str(settings)}
        return run([*self._command, *words], timeout=timeout, environment=environment)

    def _prune(self) -> None:
        """Drop the layers of earlier builds when there are many; the next build repeats them."""
        listed = self._run("images", "--all", "--quiet", timeout=60).split()
        if len(listed) > _MAX_LAYERS:
            self._run("rmi", "--prune", "--force", timeout=300)

    def _mounts(self) -> list[str]:
        files = configuration_files(os.environ, prefix=Path(sys.prefix))
        texts = [file.read_text(encoding="utf-8") for file in files if file.is_file()]
        settings = merge_settings(texts, os.environ)
        pip = self._directory / "pip.conf"
        pip.touch(mode=0o600)  # an index's address may carry a password
        pip.write_text(format_settings(settings), encoding="utf-8")
        mounts = [f"--volume={pip}:/etc/pip.conf:ro"]
        others = {path for path in mounted_paths(settings) if _CERTIFICATES not in path.parents}
        mounts += [f"--volume={one}:{one}:ro" for one in {_CERTIFICATES, *others} if one.exists()]
        return sorted(mounts)
