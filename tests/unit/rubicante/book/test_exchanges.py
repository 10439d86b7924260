"""What the book keeps of an exchange of servers, and what of it outlives a process."""

from dataclasses import replace

import pytest

from daemons.rubicante.book.progress import Progress, format_progress, parse_progress
from k40s.cpu.admission.exchange import Exchange
from k40s.errors import UnavailableError
from tests.fakes.rubicante.exchange_scene import Exchanging
from tests.fakes.rubicante.world import uid


@pytest.fixture
def exchange() -> Exchange:
    scene = Exchanging()
    for number in (1, 2):
        assert scene.admit(number)
    assert scene.admit(3)
    (progress,) = scene.world.book.exchanges()
    return progress.exchange


def stored(progress: Progress) -> dict[str, str]:
    texts = format_progress({progress.core: progress})
    return {key: text for key, text in texts.items() if text is not None}


def test_every_point_of_an_exchange_is_read_back_as_it_was_written(exchange: Exchange) -> None:
    start = Progress(exchange=exchange)
    done = start.begun().completed()
    assert done is not None
    withdrawn = replace(start.begun(), withdrawn=True)

    for progress in (start, start.begun(), done, withdrawn):
        assert parse_progress(stored(progress)) == {1: progress}


@pytest.mark.parametrize(
    ("whole", "damaged"),
    [
        ('"core"', '"cores"'),
        ('"done":0', '"done":7'),
        ('"overlaps":false', '"overlaps":0'),
        ('"withdrawn":false', '"withdrawn":true'),
        ('"before":[[', '"before":[[],['),
        ('{"core"', '["core"'),
    ],
)
def test_a_damaged_exchange_makes_the_store_unusable(
    exchange: Exchange, whole: str, damaged: str
) -> None:
    (key, text), *_ = stored(Progress(exchange=exchange)).items()
    assert whole in text

    with pytest.raises(UnavailableError):
        parse_progress({key: text.replace(whole, damaged)})


def test_an_exchange_of_another_core_is_damaged(exchange: Exchange) -> None:
    (text,) = stored(Progress(exchange=exchange)).values()

    with pytest.raises(UnavailableError):
        parse_progress({"exchange/2": text})


def test_a_departed_member_takes_its_step_along(exchange: Exchange) -> None:
    progress = Progress(exchange=exchange).begun()
    (step,) = exchange.steps

    left = progress.without_pod(step.before.pod_uid)

    assert left == Progress(exchange=exchange, done=1)
    assert progress.without_pod(uid(9)) == progress


def test_a_departed_newcomer_leaves_the_step_that_has_begun(exchange: Exchange) -> None:
    progress = Progress(exchange=exchange)
    newcomer = exchange.pod_uid

    left = progress.begun().without_pod(newcomer)

    assert progress.without_pod(newcomer) is None
    assert left is not None
    assert (left.newcomer, left.second) == (None, exchange.steps[0].after)
    assert left.completed() is None
    assert left.without_pod(exchange.steps[0].before.pod_uid) is None


def test_the_book_takes_no_exchange_for_a_pod_that_it_does_not_hold(exchange: Exchange) -> None:
    scene = Exchanging()
    scene.world.store.write(format_progress({1: Progress(exchange=exchange)}))

    scene.restart()

    assert scene.world.book.exchanges() == ()
