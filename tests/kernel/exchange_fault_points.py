"""The same as ``fault_points`` while servers are exchanged for the third of three pods."""

from collections.abc import Callable, Iterator

from k40s.node_api.messages import format_reservation_request
from tests.fakes.rubicante.exchange_scene import wanted
from tests.fakes.rubicante.story import Story
from tests.fakes.rubicante.world import ask, pod, uid
from tests.kernel.fault_points import Machine, main


class ExchangeStory(Story):
    """Two pods run, the third gets room, and all go."""

    def steps(self) -> Iterator[Callable[[], None]]:
        yield self.boot
        yield self.open
        for number in (1, 2, 3):
            yield lambda number=number: self.reserve(number)
            yield lambda number=number: self.bind(number)
            yield self.look
            yield self.look
        for number in (1, 2, 3):
            yield lambda number=number: self.end(number)
            yield self.look

    def restart(self) -> None:
        super().restart()
        self.look()
        assert self.daemon.book.exchanges() == (), "the exchange is not completed"

    def reserve(self, number: int) -> None:
        self.server.add(pod(number))
        answer = (
            self.daemon.api()
            .test_client()
            .put(
                f"/v1/reservations/{uid(number)}",
                data=format_reservation_request(ask(number, wanted(number))),
            )
        )
        self.statuses[number] = answer.status_code


class ExchangeMachine(Machine):
    """The real kernel; three processes play the pods."""

    tell = ExchangeStory


if __name__ == "__main__":
    main(ExchangeMachine)
