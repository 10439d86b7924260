"""Where kubepods are, for either of kubelet's cgroup drivers, on real directories."""

import errno
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.rubicante.kernel.pod_cgroups import (
    PodTree,
    find_kubepods,
    resolve_cgroup_root,
)
from daemons.rubicante.kernel.system import LinuxSystem
from daemons.rubicante.kernel.threads import Threads
from k40s.node_agent.kubepods import cgroup_root_of, is_in_kubepods, kubepods_paths
from tests.fakes.rubicante.kernel import CPU, PROC, FakeKernel
from tests.fakes.rubicante.world import container_id, uid

FLAT = uid(1).replace("-", "_")
SYSTEM = LinuxSystem()

NESTED = [
    ("/", "kubepods.slice"),
    ("/kubelet", "kubelet.slice/kubelet-kubepods.slice"),
    ("/a/b", "a.slice/a-b.slice/a-b-kubepods.slice"),
    ("a/b/", "a.slice/a-b.slice/a-b-kubepods.slice"),
    ("/my-node", "my_node.slice/my_node-kubepods.slice"),
    ("/a-b/c-d", "a_b.slice/a_b-c_d.slice/a_b-c_d-kubepods.slice"),
    ("/kubelet.slice", "kubelet.slice/kubelet-kubepods.slice"),
    ("/docker-1.scope/kubelet.slice", "docker-1.scope/kubelet.slice/kubelet-kubepods.slice"),
    ("/docker-1.scope", "docker-1.scope/kubepods.slice"),
    ("/node-a", "node-a/kubepods"),
]


@pytest.mark.parametrize(("root", "kubepods"), NESTED)
@pytest.mark.parametrize("qos", ["", "burstable", "besteffort"])
def test_finds_pods_below_every_root_in_every_class(
    tmp_path: Path, root: str, kubepods: str, qos: str
) -> None:
    top = tmp_path / kubepods
    if top.suffix == ".slice":
        stem = f"{top.stem}-{qos}" if qos else top.stem
        parent = top / f"{stem}.slice" if qos else top
        pod = parent / f"{stem}-pod{FLAT}.slice"
        container = pod / f"cri-containerd-{container_id(1)}.scope"
    else:
        pod = top / qos / f"pod{uid(1)}"
        container = pod / container_id(1)
    container.mkdir(parents=True)
    tree = PodTree(system=SYSTEM, cpu_root=tmp_path, cgroup_root=root)

    shown = f"/{container.relative_to(tmp_path)}"
    assert tree.pods() == {uid(1): pod}
    assert tree.pod(uid(1)) == pod
    assert tree.containers(pod) == {container_id(1): container}
    assert (tree.owner(shown), tree.existing(shown)) == (uid(1), container)
    assert {pod.parent, top, tmp_path} <= set(tree.above())
    assert is_in_kubepods(shown)


@pytest.mark.parametrize(
    "monitor",
    [
        "crio-conmon-{}.scope",
        "crio-conmon-{}",
        "libpod-conmon-{}.scope",
        "cri-containerd-conmon-{}.scope",
        "conmon-{}.scope",
        "shim-{}.scope",
        "x-crio-{}.scope",
        "crio-{}.scope.d",
        "crio-{}0.scope",
    ],
)
@pytest.mark.parametrize("digit", "0c9f")
def test_a_monitors_cgroup_is_never_the_containers_whatever_the_id(
    tmp_path: Path, monitor: str, digit: str
) -> None:
    id_ = digit * 64
    for name in (f"crio-{id_}.scope", monitor.format(id_)):
        (tmp_path / name).mkdir()
    tree = PodTree(system=SYSTEM, cpu_root=tmp_path, cgroup_root="/")

    assert tree.containers(tmp_path) == {id_: tmp_path / f"crio-{id_}.scope"}


@pytest.mark.parametrize(
    "name",
    [
        f"kubepods-pod{FLAT}.slice",
        f"a-kubepods-burstable-pod{FLAT}.slice",
        f"xkubepods-pod{FLAT}.slice",
        f"kubepods-pod{FLAT}.slice.old",
    ],
)
def test_what_only_looks_like_a_pod_of_this_parent_is_none(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.slice" / "a-kubepods.slice" / name).mkdir(parents=True)
    tree = PodTree(system=SYSTEM, cpu_root=tmp_path, cgroup_root="/a")

    assert tree.pods() == {}


def test_two_nodes_on_one_kernel_do_not_see_each_others_pods(tmp_path: Path) -> None:
    for node in ("node-a", "node-b"):
        (tmp_path / node / "kubepods" / f"pod{uid(1)}").mkdir(parents=True)
    tree = PodTree(system=SYSTEM, cpu_root=tmp_path, cgroup_root="/node-a")

    assert tree.pods() == {uid(1): tmp_path / f"node-a/kubepods/pod{uid(1)}"}
    assert tree.existing(f"/node-b/kubepods/pod{uid(1)}") is None


@pytest.mark.parametrize(("root", "kubepods"), NESTED)
def test_a_forgotten_root_is_found_where_there_is_only_one(
    tmp_path: Path, root: str, kubepods: str
) -> None:
    (tmp_path / kubepods).mkdir(parents=True)
    (tmp_path / "system.slice" / "ssh.service").mkdir(parents=True)

    found, text = resolve_cgroup_root(SYSTEM, tmp_path, "/")

    assert Path(kubepods) in kubepods_paths(found)
    assert bool(text) == (root != "/")
    assert f"/{kubepods}" in text or root == "/"


def test_of_several_kubepods_none_is_taken_and_all_are_named(tmp_path: Path) -> None:
    for path in ("node-a/kubepods", "kubelet.slice/kubelet-kubepods.slice"):
        (tmp_path / path).mkdir(parents=True)

    root, text = resolve_cgroup_root(SYSTEM, tmp_path, "/")

    assert root == "/"
    assert text == (
        "K40S_CGROUP_ROOT / has no kubepods; there are some in "
        "/kubelet (/kubelet.slice/kubelet-kubepods.slice), /node-a (/node-a/kubepods)"
    )


def test_a_root_that_was_set_is_never_replaced_but_told(tmp_path: Path) -> None:
    (tmp_path / "node-a" / "kubepods").mkdir(parents=True)

    assert resolve_cgroup_root(SYSTEM, tmp_path, "/node-a") == ("/node-a", "")
    root, text = resolve_cgroup_root(SYSTEM, tmp_path, "/node-b")
    assert root == "/node-b"
    assert "there are some in /node-a" in text


def test_a_root_that_cannot_be_read_is_kept(system: FakeKernel) -> None:
    system.make_groups(CPU / "node-a" / "kubepods")
    system.refuse["directories"] = [PermissionError(errno.EACCES, "no")]

    assert resolve_cgroup_root(system, CPU, "/") == ("/", "")


def test_a_tree_without_kubepods_is_searched_within_bounds(tmp_path: Path) -> None:
    (tmp_path / "1/2/3/4/5/6/kubepods").mkdir(parents=True)

    assert find_kubepods(SYSTEM, tmp_path) == ()
    assert resolve_cgroup_root(SYSTEM, tmp_path / "absent", "/") == ("/", "")


PARTS = st.lists(st.from_regex(r"[a-z0-9.-]{1,8}", fullmatch=True), max_size=4)


@given(parts=PARTS.filter(lambda parts: not {".", ".."} & set(parts)))
def test_kubepods_of_either_driver_tell_a_root_that_leads_to_them(parts: list[str]) -> None:
    for path in kubepods_paths("/" + "/".join(parts)):
        assert path in kubepods_paths(cgroup_root_of(path))
        assert is_in_kubepods(f"/{path}/podx")


def test_a_thread_in_nested_slices_shows_its_container(
    system: FakeKernel, threads: Threads
) -> None:
    path = f"/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{FLAT}.slice/x"
    tid = system.spawn(CPU, "ctl", other_cgroup=path)
    stranger = system.spawn(CPU, "ctl", other_cgroup="/my-kubepods/x")

    assert threads.kubepods_path(tid) == path
    assert threads.kubepods_path(stranger) is None


def test_a_cgroup_whose_name_has_odd_characters_breaks_no_line(
    system: FakeKernel, threads: Threads
) -> None:
    tid = system.spawn(CPU, "ctl", other_cgroup="/kubepods/podx/a\x0bb\x85c")
    system.files[PROC / str(tid) / "cgroup"] = "3:cpuset:/kubepods/podx/a\x0bb\x85c\n0::/\n"

    assert threads.kubepods_path(tid) == "/kubepods/podx/a\x0bb\x85c"
