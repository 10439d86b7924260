import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from k40s.errors import UnavailableError
from k40s.kube.list_watch import Change, GoneError, Listing, WatchEvent
from k40s.kube.watching.informer import Informer
from k40s.units import Nanoseconds


@dataclass(frozen=True, slots=True)
class Thing:
    key: str
    text: str = ""


Step = Listing[Thing] | list[WatchEvent[Thing] | Exception] | Exception


class ScriptedSource:
    """Answers each list or watch with the next step, and stops the informer after the last."""

    def __init__(self, stop: threading.Event, *steps: Step) -> None:
        self._stop = stop
        self._steps = list(steps)
        self.calls: list[str] = []

    def list(self) -> Listing[Thing]:
        self.calls.append("list")
        step = self._next()
        if isinstance(step, Exception):
            raise step
        assert isinstance(step, Listing)
        return step

    def watch(self, resource_version: str) -> Iterator[WatchEvent[Thing]]:
        self.calls.append(f"watch {resource_version}")
        step = self._next()
        if isinstance(step, Exception):
            raise step
        assert isinstance(step, list)
        for event in step:
            if isinstance(event, Exception):
                raise event
            yield event

    def _next(self) -> Step:
        if not self._steps:
            self._stop.set()
            raise UnavailableError("the script is over")
        return self._steps.pop(0)


@dataclass
class Cache:
    """A handler as a process has it."""

    things: dict[str, str] = field(default_factory=dict)
    failures: list[Exception] = field(default_factory=list)

    def replace(self, records: Sequence[Thing]) -> None:
        self.things = {record.key: record.text for record in records}

    def merge(self, records: Sequence[Thing]) -> None:
        self.things |= {record.key: record.text for record in records}

    def upsert(self, record: Thing) -> None:
        if self.failures:
            raise self.failures.pop()
        self.things[record.key] = record.text

    def delete(self, key: str) -> None:
        self.things.pop(key, None)


def listing(version: str, *things: Thing) -> Listing[Thing]:
    return Listing(records=things, resource_version=version)


def change(version: str, thing: Thing | None, kind: Change = Change.UPSERT) -> WatchEvent[Thing]:
    return WatchEvent(change=kind, record=thing, resource_version=version)


def follow(*steps: Step, cache: Cache | None = None) -> tuple[ScriptedSource, Cache, int]:
    stop = threading.Event()
    source = ScriptedSource(stop, *steps)
    handler = cache or Cache()
    errors: list[None] = []
    Informer(
        name="things",
        source=source,
        handler=handler,
        stop=stop,
        on_error=lambda: errors.append(None),
        pause=Nanoseconds(1),
        longest_pause=Nanoseconds(1),
        jitter=lambda: 0.0,
    ).run()
    return source, handler, len(errors)


def test_lists_once_and_then_follows_changes() -> None:
    source, cache, _ = follow(
        listing("5", Thing("a", "old"), Thing("b")),
        [
            change("6", Thing("a", "new")),
            change("7", Thing("c")),
            change("8", Thing("b"), Change.DELETE),
        ],
    )

    assert cache.things == {"a": "new", "c": ""}
    assert source.calls == ["list", "watch 5", "watch 8"]


def test_goes_on_where_an_ended_watch_stopped() -> None:
    source, cache, errors = follow(listing("5"), [change("6", Thing("a"))], [change("9", None)], [])

    assert source.calls == ["list", "watch 5", "watch 6", "watch 9", "watch 9"]
    assert cache.things == {"a": ""}
    assert errors == 1  # the script's own end


def test_resumes_after_a_broken_connection_without_listing() -> None:
    source, cache, errors = follow(
        listing("5", Thing("a")),
        [change("6", Thing("b")), UnavailableError("reset")],
        [change("7", Thing("a"), Change.DELETE)],
    )

    assert source.calls == ["list", "watch 5", "watch 6", "watch 7"]
    assert cache.things == {"b": ""}
    assert errors == 2


def test_lists_again_when_its_version_is_too_old() -> None:
    source, cache, _ = follow(
        listing("5", Thing("a"), Thing("b")), GoneError("410"), listing("50", Thing("b")), []
    )

    assert source.calls == ["list", "watch 5", "list", "watch 50", "watch 50"]
    assert cache.things == {"b": ""}


def test_loses_no_delete_that_happened_before_it_listed_again() -> None:
    _, cache, _ = follow(
        listing("5", Thing("a"), Thing("b")),
        [change("6", Thing("c")), GoneError("410 in the stream")],
        listing("50", Thing("c")),
    )

    assert cache.things == {"c": ""}


def test_lists_again_when_resuming_fails_over_and_over() -> None:
    broken: list[Step] = [UnavailableError("no")] * 5
    source, _, _ = follow(listing("5"), *broken, listing("6"))

    assert source.calls == ["list", *["watch 5"] * 5, "list", "watch 6"]


def test_retries_a_list_that_fails() -> None:
    source, cache, errors = follow(
        UnavailableError("not yet"), UnavailableError("not yet"), listing("5", Thing("a"))
    )

    assert source.calls == ["list", "list", "list", "watch 5"]
    assert cache.things == {"a": ""}
    assert errors == 3


def test_survives_a_handlers_mistake_by_listing_again() -> None:
    cache = Cache(failures=[RuntimeError("a bug")])

    source, _, errors = follow(
        listing("5"), [change("6", Thing("a"))], listing("7", Thing("a")), cache=cache
    )

    assert source.calls == ["list", "watch 5", "list", "watch 7"]
    assert cache.things == {"a": ""}
    assert errors == 2


def test_is_synchronized_after_the_first_list_only() -> None:
    stop = threading.Event()
    source = ScriptedSource(stop, UnavailableError("no"), listing("5"))
    informer = Informer(
        name="things", source=source, handler=Cache(), stop=stop, pause=Nanoseconds(1)
    )

    before = informer.synchronized.is_set()
    informer.start().join(timeout=120)

    assert not before
    assert informer.synchronized.is_set()


class EndlessSource(ScriptedSource):
    """A watch that only ends with the process."""

    def watch(self, resource_version: str) -> Iterator[WatchEvent[Thing]]:
        self.calls.append(f"watch {resource_version}")
        self._stop.set()
        while True:
            yield change("6", None)


def test_stops_within_a_stream() -> None:
    stop = threading.Event()
    source = EndlessSource(stop, listing("5"))

    Informer(name="things", source=source, handler=Cache(), stop=stop).run()

    assert source.calls == ["list", "watch 5"]


class RecordedPauses(threading.Event):
    """An event that remembers what it was asked to wait, and does not."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.pauses.append(timeout)
        return self.is_set()


def test_pauses_longer_after_each_failure_up_to_a_bound() -> None:
    stop = RecordedPauses()
    source = ScriptedSource(stop, *[UnavailableError("no")] * 6)

    Informer(
        name="things",
        source=source,
        handler=Cache(),
        stop=stop,
        pause=Nanoseconds(1_000_000_000),
        longest_pause=Nanoseconds(10_000_000_000),
        jitter=lambda: 1.0,
    ).run()

    assert stop.pauses == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0, 10.0]
