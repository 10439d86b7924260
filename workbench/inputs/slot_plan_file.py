"""A file for ``k40s tdma plan``: a TDMA network, and requests in their order of arrival."""

from dataclasses import dataclass, replace

from k40s.errors import InvalidInputError
from k40s.ledger.entry_json import NAME, NAME_FORM
from k40s.network.model import Member, Network, NetworkState, Tdma
from k40s.network.objects import parse_network, read_spec
from k40s.network.text import read_size
from k40s.strict_json import Json
from k40s.tdma.model import SlotRequest
from workbench.inputs.document import read_documents

MOST_REQUESTS = 1_000
_KIND = "Network"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRequest:
    """A request by the name of what sends, for the station that it sends from."""

    name: str
    member: Member
    request: SlotRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotPlan:
    """A network, with what is reserved on it already, and requests."""

    state: NetworkState
    tdma: Tdma
    requests: tuple[PlannedRequest, ...]


def read_slot_plan(text: str, *, source: str) -> SlotPlan:
    """Read members, tdma and requests; or a Network object, and requests in another document.

    Raises ``InvalidInputError``.
    """
    documents = read_documents(text, source=source)
    whole = Json(value=None, source=source, error=InvalidInputError)
    networks = [each for each in documents if _is_network(each)]
    if len(networks) != 1:
        raise whole.invalid(
            "one network: members and tdma, or an object of kind Network",
            found=f"{len(networks)} of them",
        )
    state = _read_network(networks[0])
    if state.network.tdma is None:
        raise networks[0].invalid("a network with the field tdma", found="one without")
    requests: list[PlannedRequest] = []
    for document in documents:
        place = _requests(document)
        for item in [] if place is None else place.items(at_most=MOST_REQUESTS):
            one = _read_request(item, state.network)
            if any(one.name == other.name for other in requests):
                raise item.members()["name"].invalid("each name once")
            requests.append(one)
    return SlotPlan(state=state, tdma=state.network.tdma, requests=tuple(requests))


def _is_network(document: Json) -> bool:
    return "tdma" in document.members() or _is_object(document)


def _is_object(document: Json) -> bool:
    return isinstance(document.value, dict) and document.value.get("kind") == _KIND


def _requests(document: Json) -> Json | None:
    """The requests of a document, if it has any."""
    if _is_object(document):
        return None
    if _is_network(document):
        return document.members().get("requests")
    return document.fields(("requests",))["requests"]


def _read_network(document: Json) -> NetworkState:
    value = document.value
    if _is_object(document) and isinstance(value, dict):
        state = parse_network(value)
        if state.fault is not None:
            raise document.invalid("a Network that can be used", found=f"one with {state.fault}")
        return state
    field = document.fields(("members", "tdma"), ("requests",))
    spec = {name: member.value for name, member in field.items() if name != "requests"}
    return NetworkState(network=read_spec(replace(document, value=spec), name="network"))


def _read_request(item: Json, network: Network) -> PlannedRequest:
    field = item.fields(("name", "node", "period"), ("length", "payload"))
    if ("length" in field) == ("payload" in field):
        found = "both" if "length" in field else "neither"
        raise item.invalid("one of the fields length and payload", found=f"{found} of them")
    member = network.member(field["node"].text(NAME, NAME_FORM))
    if member is None:
        raise field["node"].invalid("a node among the members")
    return PlannedRequest(
        name=field["name"].text(NAME, NAME_FORM),
        member=member,
        request=SlotRequest(
            period=field["period"].duration(),
            length=field["length"].duration() if "length" in field else None,
            payload=read_size(field["payload"]) if "payload" in field else None,
        ),
    )
