"""``k40s tdma plan``: files, answers, pictures."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.main import main
from k40s.ledger.entry import Owner
from k40s.network.model import NetworkReservation
from k40s.network.reservations import format_reservations
from k40s.tdma.model import SlotGrant, Window
from k40s.units import Nanoseconds

EXAMPLE = "docs/examples/networks/plant.yaml"
NETWORK = """
members: [{node: a, interface: rteth0}, {node: b, interface: rteth0, jitter: 5us}]
tdma: {cycle: 1ms, guard: 20us, bitRate: 100Mbit, master: a}
"""
OBJECT = """
apiVersion: k40s.io/v1alpha1
kind: Network
metadata: {name: plant, resourceVersion: "7"}
spec:
  members: [{node: a, interface: rteth0}]
  tdma: {cycle: 1ms, guard: 20us, bitRate: 100Mbit, master: a}
"""
LINKS = """
kind: Network
metadata: {name: lan}
spec:
  members: [{node: a, interface: e}, {node: b, interface: e}]
  links: [{from: a, to: b, delay: 1ms}]
"""


def run(text: str, *options: str) -> Result:
    return CliRunner().invoke(main, ["tdma", "plan", "-", *options], input=text)


def test_the_example_names_what_fits_and_what_does_not() -> None:
    result = CliRunner().invoke(main, ["tdma", "plan", EXAMPLE])

    assert result.exit_code == 1
    assert "drive   128 bytes every 500us on plc-1: fits" in result.stdout
    assert "served every 2ms: the cycle has no period in between" in result.stdout
    assert "video   500us every 2ms on edge-2: refused, network.no-slot: " in result.stdout
    assert result.stdout.rstrip().endswith("1 of 7 do not fit")


def test_a_plan_that_fits_ends_with_status_0() -> None:
    result = run(NETWORK + "requests: [{name: x, node: a, payload: 256B, period: 2ms}]")

    assert result.exit_code == 0
    assert result.stdout.rstrip().endswith("everything fits")


def test_the_picture_has_a_row_for_each_cycle_and_a_letter_for_each_sender() -> None:
    result = run(NETWORK + "requests: [{name: x, node: a, length: 300us, period: 2ms}]")

    rows = re.findall(r"^ +\d (S\S{63})$", result.stdout, re.MULTILINE)
    assert [set(row) for row in rows] == [{"S", "a", "."}, {"S", "."}]


def test_a_network_without_requests_shows_what_is_free() -> None:
    result = run(NETWORK)

    assert result.exit_code == 0
    assert "every 1ms: 1500 bytes" in result.stdout
    assert result.stdout.rstrip().endswith("no requests")


def test_reservations_of_a_network_object_are_in_the_way() -> None:
    window = Window(
        offset=Nanoseconds(27_000), phase=0, every=1, length=Nanoseconds(960_000), payload=60
    )
    held = NetworkReservation(
        owner=Owner(uid="u", namespace="plant", name="drive"),
        node="a",
        slots=(SlotGrant(windows=(window,)),),
    )
    status = json.dumps({"reservations": format_reservations([held])})
    requests = "\n---\nrequests: [{name: x, node: a, payload: 256B, period: 2ms}]\n"

    free = run(OBJECT + requests)
    result = run(f"{OBJECT}status: {status}{requests}")

    assert free.exit_code == 0
    assert result.exit_code == 1
    assert "a  plant/drive  a     27us    960us      1/1      60     reserved" in result.stdout
    assert "refused, network.no-slot" in result.stdout


def test_a_full_cycle_has_nothing_free() -> None:
    small = NETWORK.replace("1ms", "60us")

    result = run(small + "requests: [{name: x, node: a, payload: 60B, period: 60us}]")

    assert "  every 60us: none" in result.stdout


def test_a_refusal_names_the_nearest_request_if_there_is_one() -> None:
    request = "requests: [{name: x, node: a, payload: 200B, period: 60us}]"

    result = run(NETWORK.replace("1ms", "60us") + request)
    hopeless = run(NETWORK.replace("1ms", "30us") + request)

    assert "payload: longer than what a cycle holds besides its Sync" in result.stdout
    assert "nearest that the cycle can express: 124 bytes every 60us" in result.stdout
    assert "refused, network.inexpressible" in hopeless.stdout
    assert "nearest" not in hopeless.stdout


def test_the_output_in_the_document_is_that_of_the_example() -> None:
    page = Path("docs/tdma.md").read_text(encoding="utf-8")
    (command, shown) = re.search(r"```\n\$ k40s (.*?)\n(.*?)```", page, re.DOTALL).groups()

    result = CliRunner().invoke(main, command.split())

    assert shown.rstrip() == result.stdout.rstrip()


def test_json_has_the_slots_and_what_is_refused() -> None:
    result = run(NETWORK + "requests: [{name: x, node: b, payload: 1501B, period: 2ms}]", "--json")

    report = json.loads(result.stdout)
    assert result.exit_code == 1
    assert report["slots"] == []
    (request,) = report["requests"]
    assert request["reason"] == "network.inexpressible"
    assert request["nearest"] == {"period": "2ms", "payload": "1500B"}


def test_json_names_the_longest_request_of_a_length_that_is_too_long() -> None:
    result = run(NETWORK + "requests: [{name: x, node: a, length: 2ms, period: 2ms}]", "--json")

    (request,) = json.loads(result.stdout)["requests"]
    assert request["nearest"] == {"period": "2ms", "length": "738.24us"}


def test_json_has_no_nearest_request_where_nothing_can_be_sent() -> None:
    small = NETWORK.replace("1ms", "30us")

    result = run(small + "requests: [{name: x, node: a, payload: 60B, period: 2ms}]", "--json")

    report = json.loads(result.stdout)
    assert report["requests"][0]["nearest"] is None
    assert report["free"][0] == {"every": 1, "payload": None}


def test_the_jitter_of_the_member_is_kept_free() -> None:
    result = run(NETWORK + "requests: [{name: x, node: b, payload: 60B, period: 2ms}]", "--json")

    (slot,) = json.loads(result.stdout)["slots"]
    (window,) = slot["windows"]
    assert window["length"] == "32.84us"
    assert (window["phase"], window["every"], window["payload"]) == (0, 2, "60B")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (OBJECT.split("  tdma", maxsplit=1)[0] + "  links: []", "a Network that can be used"),
        (LINKS, "found one without, expected a network with the field tdma"),
        ("", "standard input: found 0 of them, expected one network"),
        (NETWORK + "---" + NETWORK, "standard input: found 2 of them, expected one network"),
        ("members: [{node: a, interface: e}]\ntdma: {}", "at $.tdma.cycle: found nothing"),
        (NETWORK.replace("1ms", "25us"), "$.tdma.cycle: found 25us, expected room for a Sync"),
        (OBJECT.replace("1ms", "25us"), "a Network that can be used"),
        (
            NETWORK + "requests: [{name: x, node: c, payload: 1B, period: 1ms}]",
            "$.requests[0].node",
        ),
        (NETWORK + "requests: [{name: x, node: a, period: 1ms}]", "found neither of them"),
        (NETWORK + "requests: [{name: x, node: a, period: -1ms, payload: 1B}]", ".period: found"),
        (NETWORK + "requests: [{name: x, node: a, length: 0us, period: 1ms}]", ".length: found"),
        (
            NETWORK + "requests: [{name: x, node: a, payload: 1B, period: 1ms}, "
            "{name: x, node: a, payload: 1B, period: 1ms}]",
            "$.requests[1].name: found 'x', expected each name once",
        ),
        (NETWORK + "---\nrequest: []", "the unknown field"),
    ],
)
def test_bad_input_is_one_line_and_status_2(text: str, fault: str) -> None:
    result = run(text)

    assert result.exit_code == 2
    assert fault in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_the_cycles_can_be_drawn(tmp_path: Path) -> None:
    path = tmp_path / "plan.svg"

    result = CliRunner().invoke(main, ["tdma", "plan", EXAMPLE, "--plot", str(path)])

    assert result.exit_code == 1
    assert "camera" in path.read_text(encoding="utf-8")


def test_a_picture_needs_a_name_that_says_its_format(tmp_path: Path) -> None:
    result = run(NETWORK, "--plot", str(tmp_path / "plan"))

    assert result.exit_code == 2
    assert "ends in .png or .svg" in result.stderr
