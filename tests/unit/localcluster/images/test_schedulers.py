import hashlib
from pathlib import Path

import pytest

from localcluster.components import scheduler
from localcluster.errors import LocalClusterError
from localcluster.images.binaries import PROGRAMS, Binaries, kubernetes_version
from localcluster.images.go_build import ensure_built, pinned_version
from localcluster.images.pin_scheduler import module_text
from localcluster.images.schedulers import (
    MODULES,
    Scheduler,
    ensure_scheduler,
    minor,
    scheduler_flags,
    scheduler_versions,
)
from localcluster.progress import Progress

WITHOUT_TAINT_RULES = "--feature-gates=DRADeviceTaintRules=false"
UPSTREAM = """module k8s.io/kubernetes

go 1.26.0

require k8s.io/api v0.0.0

replace (
\tk8s.io/api => ./staging/src/k8s.io/api
\tk8s.io/streaming => ./staging/src/k8s.io/streaming
\texample.com/x => example.com/x v1.2.3
)
"""


def test_each_pinned_module_is_named_by_the_version_that_it_pins() -> None:
    versions = scheduler_versions()

    assert {minor(version) for version in versions} == {34, 36, 37, 38}
    assert [pinned_version(MODULES / version) for version in versions] == list(versions)


def test_each_pinned_module_has_its_hashes_and_no_address_of_a_proxy() -> None:
    for version in scheduler_versions():
        texts = [(MODULES / version / name).read_text() for name in ("go.mod", "go.sum")]

        assert f"k8s.io/kubernetes {version} h1:" in texts[1]
        assert not any("://" in text for text in texts)


def test_a_module_replaces_what_that_version_of_kubernetes_takes_from_its_own_repository() -> None:
    text = module_text("v1.36.3", UPSTREAM)

    assert "\ngo 1.26.0\n" in text
    assert [line for line in text.splitlines() if "=>" in line] == [
        "\tk8s.io/api => k8s.io/api v0.36.3",
        "\tk8s.io/streaming => k8s.io/streaming v0.36.3",
    ]


def test_a_go_mod_that_states_no_go_is_refused() -> None:
    with pytest.raises(ValueError, match="no version of Go"):
        module_text("v1.36.3", "module k8s.io/kubernetes\n")


@pytest.mark.parametrize(
    ("version", "api_server", "flags"),
    [
        ("v1.36.3", "v1.35.4", ()),
        ("v1.37.2", "v1.35.4", (WITHOUT_TAINT_RULES,)),
        ("v1.38.0-beta.0", "v1.36.3", ("--emulated-version=1.37", WITHOUT_TAINT_RULES)),
        ("v1.37.2", "v1.37.2", ()),
    ],
)
def test_a_scheduler_that_waits_for_an_api_which_the_server_lacks_is_told_not_to(
    version: str, api_server: str, flags: tuple[str, ...]
) -> None:
    assert scheduler_flags(version, api_server=api_server) == flags


def test_a_version_that_is_not_pinned_is_refused_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(LocalClusterError, match=r"v1\.30\.0: expected one of v1\.34\.4, .*pin-"):
        ensure_scheduler(
            "v1.30.0", api_server="v1.35.4", cache=tmp_path, progress=Progress(), modules=MODULES
        )


@pytest.mark.parametrize("text", ["1.36.3", "v1.36", "v2.0.0", ""])
def test_text_that_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(LocalClusterError, match="expected one such as"):
        minor(text)


def make_binaries(directory: Path, scheduler: Scheduler | None) -> Binaries:
    directory.mkdir()
    for name in (*PROGRAMS, "etcd"):
        (directory / name).touch(mode=0o755)
    return Binaries(directory=directory, scheduler=scheduler)


def test_another_scheduler_takes_the_place_of_the_one_in_the_directory(tmp_path: Path) -> None:
    other = Scheduler(version="v1.37.2", program=tmp_path / "other", flags=("--x",))

    plain = make_binaries(tmp_path / "plain", None)
    changed = make_binaries(tmp_path / "changed", other)

    assert plain.path("kube-scheduler") == tmp_path / "plain/kube-scheduler"
    assert plain.scheduler_flags == ()
    assert changed.path("kube-scheduler") == tmp_path / "other"
    assert changed.path("kubectl") == tmp_path / "changed/kubectl"
    assert changed.scheduler_flags == ("--x",)


def test_a_schedulers_command_line_ends_with_its_flags() -> None:
    words = scheduler.command(
        Path("/s"), config=Path("/c"), kubeconfig=Path("/k"), port=1, flags=("--x", "--y")
    )

    assert words[-2:] == ["--x", "--y"]


def test_what_the_cache_holds_for_the_same_pins_is_not_built_again(tmp_path: Path) -> None:
    module = tmp_path / "module"
    module.mkdir()
    (module / "go.mod").write_text(
        f"module x\n\nrequire k8s.io/kubernetes {kubernetes_version()}\n"
    )
    (module / "go.sum").write_text("")
    target = tmp_path / "cache/kubernetes" / kubernetes_version()
    target.mkdir(parents=True)
    (target / "source.sha256").write_text(_digest(module))

    assert ensure_built(module, cache=tmp_path / "cache", progress=Progress()) == target


def _digest(module: Path) -> str:
    texts = [(module / name).read_bytes() for name in ("go.mod", "go.sum")]
    return hashlib.sha256(b"".join(texts)).hexdigest()
