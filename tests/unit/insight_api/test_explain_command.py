"""``k40s explain`` against an insight on loopback: output, exit status, errors of one line."""

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from cli.main import main
from k40s.explanation.json import Told, told_json
from k40s.explanation.model import Explanation, NodeExplanation
from k40s.explanation.story import StoryNode, story
from tests.fakes.extender.full_nodes import fill, rt_pod
from tests.fakes.extender.world import World, make_cpu_state, make_node, make_pod
from tests.fakes.insight_server import TOKEN, FakeInsight, serving, write_kubectl
from tests.fakes.kube import api_server
from tests.unit.conftest import NamedFiles

CALL = "GET /v1/namespaces/default/pods/arm/explanation"
NEW = "POST /v1/namespaces/default/explanations"
RECORDED = Path(__file__).parents[2] / "fixtures" / "explanation" / "bound-pod.json"
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: arm}
spec:
  template:
    metadata:
      labels: {app: arm}
      annotations: {k40s.io/criticality: HI}
    spec:
      containers: [{name: main, image: arm}]
"""


@pytest.fixture
def insight(files: NamedFiles) -> Iterator[FakeInsight]:
    with serving(files("k40s-insight-tls")) as server:
        yield server


@pytest.fixture
def options(insight: FakeInsight, files: NamedFiles, tmp_path: Path) -> list[str]:
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\n")
    ca = files("k40s-insight-tls").ca
    server = f"https://localhost:{insight.port}"
    return ["--server", server, "--ca", str(ca), "--token-file", str(token)]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["explain", *arguments])


def refused() -> Explanation:
    world = World()
    fill(world, "edge-1", rt_pod("vision", "LOW", "60ms"))
    world.add(make_node("edge-2", level=5))
    return world.explain(rt_pod("arm", "HI", "40ms"))


def fitting() -> Explanation:
    world = World()
    world.add(make_node("edge-1", level=20, cpu=make_cpu_state()), make_node("edge-2", level=5))
    return world.explain(rt_pod("arm", "HI", "40ms"))


def test_a_refused_pod_is_answered_in_one_sentence_then_by_node(
    insight: FakeInsight, options: list[str]
) -> None:
    insight.tell(CALL, Told(refused(), None))

    result = run("arm", *options)

    assert result.exit_code == 1, result.output
    first, _, rest = result.output.partition("\n")
    assert first.startswith("default/arm (HI) fits on none of 2 nodes: 1 cpu.no-bandwidth, ")
    assert "Nearest is edge-1: it fits without default/vision (LOW" in first
    lines = rest.splitlines()
    assert lines[1].split() == ["NODE", "VERDICT", "WHY", "NEEDED", "FREE", "AGE"]
    assert lines[2].split()[:3] == ["edge-1", "refused", "cpu.no-bandwidth"]
    assert "  in the way:" in lines
    assert "  tried, and enough:" in lines


def test_a_pod_that_fits_has_scores_and_their_parts(
    insight: FakeInsight, options: list[str]
) -> None:
    insight.tell(CALL, Told(fitting(), None))

    result = run("arm", *options)

    assert result.exit_code == 0
    assert "fits on 1 of 2 nodes; best on edge-1" in result.output
    assert "assurance 10.0 x 0.5 + CPU left" in result.output


def test_a_pod_that_runs_has_its_story(insight: FakeInsight, options: list[str]) -> None:
    pod = json.loads(RECORDED.read_text(encoding="utf-8"))["pod"]
    insight.tell(CALL, Told(None, story(pod, node=StoryNode(level=17))))

    result = run("arm", *options)

    assert result.exit_code == 0
    assert "plant/arm: It is running on edge-1, and the kernel enforces" in result.output
    assert "24ms/100ms" in result.output
    assert "released from its owner" in result.output


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_documents_are_the_answer_itself(
    insight: FakeInsight, options: list[str], form: str
) -> None:
    told = Told(refused(), None)
    insight.tell(CALL, told)

    result = run("arm", "-o", form, *options)

    assert yaml.safe_load(result.output) == json.loads(json.dumps(told_json(told)))


def test_a_template_is_explained_before_there_is_a_pod(
    insight: FakeInsight, options: list[str], tmp_path: Path
) -> None:
    insight.tell(NEW, Told(fitting(), None))
    file = tmp_path / "deployment.yaml"
    file.write_text(DEPLOYMENT)

    result = run("-f", str(file), *options)

    assert result.exit_code == 0, result.output
    sent = json.loads(insight.bodies[-1])
    assert (sent["kind"], sent["metadata"]["annotations"]) == ("Pod", {"k40s.io/criticality": "HI"})


def test_invalid_annotations_are_bad_input(insight: FakeInsight, options: list[str]) -> None:
    world = World()
    world.add(make_node("edge-1", level=20))
    insight.tell(CALL, Told(world.explain(make_pod("arm", criticality="high")), None))

    result = run("arm", *options)

    assert result.exit_code == 2
    assert 'expected one of "NO", "LOW", "HI"' in result.output


def test_a_node_that_gave_no_answer_is_no_verdict(insight: FakeInsight, options: list[str]) -> None:
    found = refused()
    node = replace(found.nodes[0], reason="cpu.no-answer")
    insight.tell(CALL, Told(replace(found, nodes=(node,)), None))

    result = run("arm", *options)

    assert result.exit_code == 3
    assert "the scheduler tries it again by itself" in result.output


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["nobody"], 2, "there is no such pod"),
        (["../x"], 2, "POD: found '../x', expected a pod's name"),
        ([], 2, "give the name of a pod, or -f FILE"),
        (["arm", "-f", "x"], 2, "give the name of a pod, or -f FILE"),
        (["-f", "/nowhere"], 2, "/nowhere"),
    ],
)
def test_errors_are_one_line(
    insight: FakeInsight, options: list[str], arguments: list[str], status: int, words: str
) -> None:
    assert insight.port

    result = run(*arguments, *options)

    assert result.exit_code == status
    assert words in result.output
    assert len(result.output.splitlines()) == 1


def test_a_wrong_token_and_an_authority_of_others_are_told_apart(
    insight: FakeInsight, options: list[str], tmp_path: Path, other_authority: Path
) -> None:
    assert insight.port
    (tmp_path / "token").write_text("another")

    refused_token = run("arm", *options)
    options[3] = str(other_authority / "ca.crt")
    untrusted = run("arm", *options)

    assert (refused_token.exit_code, untrusted.exit_code) == (2, 3)
    assert "the token is not valid" in refused_token.output


@pytest.mark.parametrize("server", ["https://", "https://host:99999", "https://[::", "junk"])
def test_a_server_that_is_none_is_bad_input(server: str) -> None:
    result = run("arm", "--server", server, "--token-file", "/dev/null")

    assert result.exit_code == 2
    assert result.output.startswith("error: --server: found ")


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a\x1bb", b"two words", b""])
def test_a_file_without_a_token_is_bad_input(
    options: list[str], tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "token").write_bytes(content)

    result = run("arm", *options)

    assert result.exit_code == 2
    assert result.output.startswith("error: --token-file: found ")


def test_plain_http_never_gets_the_token() -> None:
    result = run("arm", "--server", "http://localhost:1", "--token-file", "/dev/null")

    assert result.exit_code == 2
    assert "https://" in result.output


def write_config(path: Path, user: str) -> str:
    path.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
        "clusters: [{name: k, cluster: {server: 'https://127.0.0.1:1'}}]\n"
        "contexts: [{name: c, context: {cluster: k, user: u, namespace: default}}]\n"
        f"users: [{{name: u, user: {user}}}]\n"
    )
    return str(path)


def test_a_port_is_forwarded_by_kubectl_with_the_kubeconfigs_token(
    insight: FakeInsight, files: NamedFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    insight.tell(CALL, Told(fitting(), None))
    write_kubectl(tmp_path / "kubectl", f"Forwarding from 127.0.0.1:{insight.port} -> 8443")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    config = write_config(tmp_path / "config", f"{{token: {TOKEN}}}")

    result = run("arm", "--kubeconfig", config, "--ca", str(files("k40s-insight-tls").ca))

    assert result.exit_code == 0, result.output
    said = (tmp_path / "kubectl.args").read_text()
    assert f"--kubeconfig={config}" in said
    assert "port-forward --address 127.0.0.1 service/k40s-insight :443" in said


def test_what_kubectl_says_instead_is_the_error(
    files: NamedFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_kubectl(tmp_path / "kubectl", "Error from server (NotFound): services", stays=False)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    config = write_config(tmp_path / "config", f"{{token: {TOKEN}}}")

    result = run("arm", "--kubeconfig", config, "--ca", str(files("k40s-insight-tls").ca))

    assert result.exit_code == 3
    assert "Error from server (NotFound)" in result.output


def test_a_client_certificate_alone_is_told_how_to_get_a_token(tmp_path: Path) -> None:
    config = write_config(tmp_path / "config", "{client-certificate-data: '', username: ''}")

    result = run("arm", "--kubeconfig", config)

    assert result.exit_code == 2
    assert "kubectl create token" in result.output
    assert "--token-file" in result.output


def test_every_refusing_node_is_in_full_with_wide(insight: FakeInsight, options: list[str]) -> None:
    found = refused()
    nodes = tuple(replace(found.nodes[1], name=f"edge-{n:03d}") for n in range(80))
    insight.tell(CALL, Told(replace(found, nodes=nodes), None))

    short, wide = run("arm", *options).output, run("arm", "-o", "wide", *options).output

    assert "30 more nodes; -o wide shows all." in short
    assert all(f"edge-{n:03d}: assurance.too-low" in wide for n in range(80))
    assert isinstance(nodes[0], NodeExplanation)


def test_without_kubectl_the_other_way_is_named(
    files: NamedFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    config = write_config(tmp_path / "config", f"{{token: {TOKEN}}}")

    result = run("arm", "--kubeconfig", config, "--ca", str(files("k40s-insight-tls").ca))

    assert result.exit_code == 3
    assert "--server URL" in result.output


@pytest.mark.parametrize(
    ("status", "text", "exit_code", "words"),
    [
        (200, "{}", 3, "answer to GET"),
        (503, '{"error": "the extender does not answer"}', 3, "the extender does not answer"),
        (403, '{"error": "you may not get pods"}', 2, "you may not get pods"),
        (502, "<html>", 3, "<html> (status 502)"),
    ],
)
def test_what_insight_says_instead_is_told(
    insight: FakeInsight,
    options: list[str],
    status: int,
    text: str,
    exit_code: int,
    words: str,
) -> None:
    insight.answers[CALL] = (status, text)

    result = run("arm", *options)

    assert result.exit_code == exit_code
    assert words in result.output


def test_a_namespace_that_contradicts_the_manifest_is_refused(
    insight: FakeInsight, options: list[str], tmp_path: Path
) -> None:
    assert insight.port
    file = tmp_path / "pod.yaml"
    file.write_text(DEPLOYMENT.replace("name: arm}", "name: arm, namespace: plant}"))

    result = run("-f", str(file), "-n", "other", *options)

    assert result.exit_code == 2
    assert "is of the namespace plant" in result.output


def test_a_file_without_a_pod_and_a_token_file_without_a_token_are_bad_input(
    insight: FakeInsight, options: list[str], tmp_path: Path
) -> None:
    assert insight.port
    file = tmp_path / "service.yaml"
    file.write_text("apiVersion: v1\nkind: Service\nmetadata: {name: s}\n")

    no_pod = run("-f", str(file), *options)
    (tmp_path / "token").write_text("two words")
    no_token = run("arm", *options)

    assert (no_pod.exit_code, no_token.exit_code) == (2, 2)
    assert "an object with a template of pods" in no_pod.output
    assert "one token and nothing else" in no_token.output


def test_several_templates_have_their_titles_and_the_worst_status(
    insight: FakeInsight, options: list[str], tmp_path: Path
) -> None:
    insight.tell(NEW, Told(refused(), None))
    file = tmp_path / "both.yaml"
    file.write_text(f"{DEPLOYMENT}---{DEPLOYMENT.replace('name: arm', 'name: leg')}")

    result = run("-f", str(file), *options)

    assert result.exit_code == 1
    assert "Deployment arm" in result.output
    assert "Deployment leg" in result.output


@pytest.mark.parametrize("readable", [True, False])
def test_the_authority_is_read_from_the_secret_by_whoever_may(
    insight: FakeInsight,
    files: NamedFiles,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    readable: bool,
) -> None:
    insight.tell(CALL, Told(fitting(), None))
    write_kubectl(tmp_path / "kubectl", f"Forwarding from 127.0.0.1:{insight.port} -> 8443")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    config = write_config(tmp_path / "config", f"{{token: {TOKEN}}}")
    with api_server.serving() as api:
        text = (
            Path(config).read_text().replace("https://127.0.0.1:1", f"http://127.0.0.1:{api.port}")
        )
        Path(config).write_text(text)
        authority = base64.b64encode(files("k40s-insight-tls").ca.read_bytes()).decode()
        answer = api_server.Answer(body={"data": {"ca.crt": authority}})
        if not readable:
            answer = api_server.Answer(403, {"message": "secrets is forbidden"})
        api.answer("GET", "/api/v1/namespaces/k40s-system/secrets/k40s-insight-tls", answer)

        result = run("arm", "--kubeconfig", config)

    assert result.exit_code == (0 if readable else 2), result.output
    assert readable or "--ca: found null, expected the file ca.crt" in result.output
