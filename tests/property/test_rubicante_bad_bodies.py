"""Bodies that are wrong in every way: one clear answer, and nothing changes."""

from itertools import islice

import pytest

from daemons.rubicante.api.app import create_app
from tests.fakes.rubicante.bodies import bodies
from tests.fakes.rubicante.http import PATH, state_of
from tests.fakes.rubicante.world import World


@pytest.mark.parametrize("seed", range(3))
def test_nonsense_is_refused_where_it_is_wrong_and_changes_nothing(seed: int) -> None:
    world = World()
    world.reserve(2)
    app = create_app(reservations=world.reservations, state=state_of(world))
    client = app.test_client()
    before = dict(world.store.texts), world.book.generation, world.system.admitted()
    calls = list(world.system.calls)
    statuses = set()

    for body in islice(bodies(seed), 1000):
        answer = client.put(PATH, data=body)
        statuses.add(answer.status_code)
        if answer.status_code == 422:
            assert answer.json["path"].startswith("$"), body
            assert answer.json["error"], body

    assert statuses <= {409, 413, 422}
    assert (dict(world.store.texts), world.book.generation, world.system.admitted()) == before
    assert world.system.calls == calls
