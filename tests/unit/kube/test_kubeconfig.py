"""KUBECONFIG as a list: what kubectl makes of it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from k40s.errors import UnavailableError
from k40s.kube.connect import connect
from k40s.kube.kubeconfig import read_kubeconfig
from tests.fakes.kube.api_server import Answer, FakeApiServer, serving

NODE = "/api/v1/nodes/edge-1"


@pytest.fixture
def api() -> Iterator[FakeApiServer]:
    with serving() as server:
        server.answer("GET", NODE, Answer(body={"metadata": {"name": "edge-1"}}))
        yield server


def write(path: Path, **parts: Any) -> str:  # noqa: ANN401  # any JSON
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "Config", **parts}))
    return str(path)


def cluster(name: str, server: str) -> dict[str, Any]:
    return {"clusters": [{"name": name, "cluster": {"server": server}}]}


def user(name: str, token: str, *, in_file: bool = False) -> dict[str, Any]:
    how = {"tokenFile" if in_file else "token": token}
    return {"users": [{"name": name, "user": how}]}


def context(name: str) -> dict[str, Any]:
    return {"contexts": [{"name": name, "context": {"cluster": name, "user": name}}]}


def asked(api: FakeApiServer, setting: str) -> str:
    """Who the server was asked by."""
    found = connect(kubeconfig=setting).get_node("edge-1")
    assert found is not None
    return api.received[0].headers["Authorization"]


def test_files_of_a_list_complete_each_other(api: FakeApiServer, tmp_path: Path) -> None:
    server = f"http://127.0.0.1:{api.port}"
    files = [
        write(tmp_path / "a" / "config", **context("x"), **user("x", "first")),
        str(tmp_path / "missing"),
        "",
        write(tmp_path / "b" / "config", **cluster("x", server), **{"current-context": "x"}),
    ]

    assert asked(api, ":".join(files)) == "Bearer first"


def test_the_first_file_counts_for_each_name_and_for_the_context(
    api: FakeApiServer, tmp_path: Path
) -> None:
    server = f"http://127.0.0.1:{api.port}"
    one, other = (
        write(
            tmp_path / name,
            **{key: a[key] + b[key] for key in a},
            **cluster("x", server if name == "one" else "http://127.0.0.1:1"),
            **{"current-context": "x" if name == "one" else "y"},
        )
        for name in ("one", "other")
        for a, b in [
            (
                context("x") | user("x", name),
                context("y") | user("y", f"{name}-y"),
            )
        ]
    )

    assert asked(api, f"{one}:{other}") == "Bearer one"


def test_relative_paths_are_relative_to_their_own_file(api: FakeApiServer, tmp_path: Path) -> None:
    server = f"http://127.0.0.1:{api.port}"
    one = write(tmp_path / "a" / "config", **context("x"), **{"current-context": "x"})
    other = write(
        tmp_path / "b" / "config", **cluster("x", server), **user("x", "token", in_file=True)
    )
    (tmp_path / "b" / "token").write_text("of b")

    assert asked(api, f"{one}:{other}") == "Bearer of b"


def test_an_empty_file_of_a_list_is_passed_by(api: FakeApiServer, tmp_path: Path) -> None:
    server = f"http://127.0.0.1:{api.port}"
    (tmp_path / "empty").write_text("\n")
    whole = write(
        tmp_path / "config",
        **cluster("x", server),
        **user("x", "t"),
        **context("x"),
        **{"current-context": "x"},
    )

    assert asked(api, f"{tmp_path / 'empty'}:{whole}") == "Bearer t"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "config: "),
        ("[]", "config: not a kubeconfig file"),
        ("clusters: 5", "clusters is no list"),
        ("users: [5]", "users has an entry without name or user"),
        ("users: [{name: u, user: 5}]", "users has an entry without name or user"),
        ("users: [{name: u}, {name: u}]", "users has 'u' twice"),
        ("users: []", "no current-context in"),
        ("current-context: ''", "no current-context in"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_clear_error(
    tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "config").write_text(text)

    with pytest.raises(UnavailableError, match="no way to the API server") as caught:
        connect(kubeconfig=str(tmp_path / "config"))
    assert said in str(caught.value)


@pytest.mark.parametrize("setting", [":", "/nowhere", "/nowhere:/nor-here:", "~nobody-at-all/x"])
def test_a_list_of_which_no_file_exists_is_named(setting: str) -> None:
    with pytest.raises(UnavailableError, match=f"no kubeconfig file: {setting}"):
        read_kubeconfig(setting)


def test_a_context_may_be_chosen_and_its_namespace_counts(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("current-context: a\ncontexts: [{name: a, context: {namespace: plant}}]\n")
    second.write_text("contexts: [{name: b, context: {namespace: office}}, {name: c}]\n")
    setting = f"{first}:{second}"

    assert read_kubeconfig(setting).namespace == "plant"
    assert read_kubeconfig(setting, context="b").namespace == "office"
    assert read_kubeconfig(setting, context="c").namespace == ""
    assert read_kubeconfig(setting, context="b").context == "b"
