import json
import os
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from localcluster.credentials.certificates import Authority, issue_signing_key
from localcluster.credentials.kubeconfig import write_kubeconfig
from localcluster.deploy import describe_pods, is_crash_looping
from localcluster.errors import CommandError, LocalClusterError
from localcluster.host.commands import run
from localcluster.images.archive import ImageConfiguration, pack_files
from localcluster.images.binaries import (
    PROGRAMS,
    Binaries,
    ensure_binaries,
    kubernetes_version,
)
from localcluster.images.cluster_images import ImageStore, digest, source_parts
from localcluster.images.go_build import build_flags
from localcluster.images.pip_configuration import (
    configuration_files,
    format_settings,
    merge_settings,
    mounted_paths,
)
from localcluster.progress import Progress

IMAGE = ImageConfiguration(name="localhost/x:1", machine="aarch64", entrypoint=("/x",))


def test_an_archive_holds_the_program_and_says_how_to_run_it(tmp_path: Path) -> None:
    archive = pack_files(tmp_path / "x.tar", {"x": b"program"}, IMAGE)

    with tarfile.open(archive) as tar:
        manifest = json.load(tar.extractfile("manifest.json"))[0]  # type: ignore[arg-type]  # it is a file
        config = json.load(tar.extractfile(manifest["Config"]))  # type: ignore[arg-type]  # the same
        names = tar.getnames()
    assert manifest["RepoTags"] == ["localhost/x:1"]
    assert config["config"]["Entrypoint"] == ["/x"]
    assert config["architecture"] == "arm64"
    assert len(config["history"]) == len(config["rootfs"]["diff_ids"]) == 1
    assert manifest["Layers"][0] in names


def test_equal_content_makes_an_equal_archive(tmp_path: Path) -> None:
    one = pack_files(tmp_path / "one.tar", {"x": b"program"}, IMAGE)
    two = pack_files(tmp_path / "two.tar", {"x": b"program"}, IMAGE)

    assert one.read_bytes() == two.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.tar", "two.tar"]


def test_an_image_is_made_once_for_the_same_key(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    made: list[str] = []

    def make(target: Path) -> None:
        made.append(target.name)
        target.touch()

    for key in ("a", "a", "b"):
        store.ensure("app", key, make)

    assert made == ["app-a.tar", "app-b.tar"]


def test_a_new_image_replaces_those_that_nobody_asked_for_in_an_hour(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    old = store.ensure("app", "old", Path.touch)
    in_use = store.ensure("app", "in-use", Path.touch)
    for archive in (old, in_use):
        os.utime(archive, (0, 0))

    store.ensure("app", "in-use", Path.touch)
    new = store.ensure("app", "new", Path.touch)

    assert set((tmp_path / "images").glob("*.tar")) == {in_use, new}


def test_the_projects_image_needs_its_dockerfile(tmp_path: Path) -> None:
    with pytest.raises(LocalClusterError, match="no Dockerfile"):
        ImageStore(tmp_path).k40s(tmp_path)


def test_a_key_depends_on_where_parts_begin() -> None:
    assert digest([b"ab", b"c"]) != digest([b"a", b"bc"])


def test_a_key_follows_sources_and_ignores_compiled_files(tmp_path: Path) -> None:
    (tmp_path / "app/__pycache__").mkdir(parents=True)
    (tmp_path / "Dockerfile").write_text("FROM x")
    (tmp_path / "app/main.py").write_text("1")
    names = ("Dockerfile", "app")
    before = digest(source_parts(tmp_path, names))

    (tmp_path / "app/__pycache__/main.pyc").write_text("compiled")
    compiled = digest(source_parts(tmp_path, names))
    (tmp_path / "app/main.py").write_text("2")
    changed = digest(source_parts(tmp_path, names))

    assert compiled == before
    assert changed != before


def test_pips_settings_come_from_its_files_and_the_environment_wins() -> None:
    files = [
        "[global]\nindex-url = one\ntimeout = 5\n[other]\nx = 1\n",
        "[install]\nindex_url = two",
    ]
    environ = {"PIP_TIMEOUT": "180", "PIP_CONFIG_FILE": "/x", "PIP_CERT": "", "HOME": "/h"}

    settings = merge_settings(files, environ)

    assert settings == {"index-url": "two", "timeout": "180"}
    assert format_settings(settings) == "[global]\nindex-url = two\ntimeout = 180\n"


def test_paths_that_pips_settings_name_are_mounted_and_addresses_are_not() -> None:
    settings = {"find-links": "/opt/wheels over-there\n/more", "cert": "/etc/ssl/x.crt"}

    paths = mounted_paths(settings)

    assert paths == [Path("/etc/ssl/x.crt"), Path("/opt/wheels"), Path("/more")]


def test_a_pip_configuration_file_that_the_environment_names_comes_last() -> None:
    plain = configuration_files({"HOME": "/h"}, prefix=Path("/venv"))

    named = configuration_files({"HOME": "/h", "PIP_CONFIG_FILE": "/x"}, prefix=Path("/venv"))

    assert Path("/venv/pip.conf") in plain
    assert named == [*plain, Path("/x")]


def test_a_directory_that_lacks_programs_is_refused_by_name(tmp_path: Path) -> None:
    for name in PROGRAMS[1:]:
        (tmp_path / name).touch(mode=0o755)

    with pytest.raises(LocalClusterError, match="lacks kube-apiserver, etcd"):
        Binaries(directory=tmp_path)


@pytest.mark.parametrize("etcd", ["etcd", "server"])
def test_etcd_may_go_by_the_name_that_go_gives_it(etcd: str, tmp_path: Path) -> None:
    for name in (*PROGRAMS, etcd):
        (tmp_path / name).touch(mode=0o755)

    found = ensure_binaries(tmp_path, cache=tmp_path / "none", progress=Progress())

    assert found.path("etcd") == tmp_path / etcd
    assert found.path("kubelet") == tmp_path / "kubelet"


def test_the_programs_know_their_version() -> None:
    flags = build_flags("v1.35.4")

    assert "gitVersion=v1.35.4" in flags
    assert "gitMinor=35" in flags
    assert kubernetes_version().startswith("v1.")


def test_a_module_without_kubernetes_has_no_version(tmp_path: Path) -> None:
    (tmp_path / "go.mod").write_text("module x\n")

    with pytest.raises(LocalClusterError, match="does not require"):
        kubernetes_version(tmp_path)


def test_a_certificate_names_its_hosts_and_groups_and_is_signed_once(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "ca")

    pair = authority.issue("x", name="me", organizations=["system:nodes"], hosts=["edge-1"])
    again = Authority(tmp_path, "ca").issue("x", name="me")

    certificate = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
    issuer = x509.load_pem_x509_certificate(authority.pair.certificate.read_bytes())
    certificate.verify_directly_issued_by(issuer)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["edge-1"]
    assert certificate.subject.rfc4514_string() == "CN=me,O=system:nodes"
    assert again.certificate.read_bytes() == pair.certificate.read_bytes()
    assert pair.key.stat().st_mode & 0o077 == 0


def test_a_kubeconfig_stands_alone_and_is_private(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "pki", "ca")
    pair = issue_signing_key(tmp_path / "pki", "accounts")

    path = write_kubeconfig(
        tmp_path / "kubeconfig",
        server="https://10.77.0.10:6443",
        authority=authority.pair.certificate,
        identity=pair,
    )

    assert "server: https://10.77.0.10:6443" in path.read_text()
    assert str(tmp_path) not in path.read_text()
    assert path.stat().st_mode & 0o077 == 0


def test_a_pod_that_is_not_ready_is_described_by_its_containers_or_conditions() -> None:
    crashed = {
        "metadata": {"name": "crashed"},
        "status": {
            "containerStatuses": [
                {"ready": False, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
            ]
        },
    }
    pending = {
        "metadata": {"name": "pending"},
        "status": {"conditions": [{"status": "False", "message": "no node"}]},
    }
    fine = {"metadata": {"name": "fine"}, "status": {"containerStatuses": [{"ready": True}]}}
    new = {"metadata": {"name": "new"}, "status": {"phase": "Pending"}}

    found = describe_pods([crashed, pending, fine, new])

    assert found == [
        ("crashed", "waiting CrashLoopBackOff"),
        ("pending", "no node"),
        ("new", "Pending"),
    ]


def test_waiting_is_given_up_for_a_container_that_ends_again_and_again() -> None:
    since = datetime(2026, 1, 2, tzinfo=UTC)

    def pod(*, restarts: int, ready: bool, day: int = 2) -> dict[str, object]:
        return {
            "metadata": {"creationTimestamp": f"2026-01-0{day}T00:00:01Z"},
            "status": {"containerStatuses": [{"restartCount": restarts, "ready": ready}]},
        }

    assert is_crash_looping([pod(restarts=3, ready=False)], since=since)
    assert not is_crash_looping(
        [pod(restarts=2, ready=False), pod(restarts=9, ready=True)], since=since
    )
    assert not is_crash_looping([pod(restarts=9, ready=False, day=1)], since=since)


def test_progress_says_what_is_done_and_when_it_failed() -> None:
    said: list[str] = []
    progress = Progress(said.append)

    with progress.step("first"):
        pass
    with pytest.raises(KeyError), progress.step("second"):
        raise KeyError

    assert said[0] == "  first ... "
    assert said[1].endswith(" s\n")
    assert said[2:] == ["  second ... ", "failed\n"]


def test_a_command_that_fails_is_quoted_with_what_it_said() -> None:
    with pytest.raises(CommandError, match="status 3: too bad"):
        run(["sh", "-c", "echo too bad >&2; exit 3"])


def test_a_command_that_is_missing_is_named() -> None:
    with pytest.raises(CommandError, match="no-such-command is not installed"):
        run(["no-such-command"])


def test_a_command_without_end_is_ended() -> None:
    with pytest.raises(CommandError, match=r"no end after 0\.05 s"):
        run(["sleep", "60"], timeout=0.05)
