"""A webhook that is late is asked again, and nothing else."""

import pytest

from localcluster.errors import CommandError
from localcluster.plane.again import ask_again

LATE = CommandError(
    'kubectl apply -f -: status 1: Internal error occurred: failed calling webhook "pods": '
    'failed to call webhook: Post "https://k40s-webhook": context deadline exceeded'
)


class Server:
    def __init__(self, *answers: str | CommandError) -> None:
        self._answers = iter(answers)
        self.pauses: list[float] = []

    def ask(self) -> str:
        answer = next(self._answers)
        if isinstance(answer, CommandError):
            raise answer
        return answer


def test_it_is_asked_again_until_the_webhook_answers() -> None:
    server = Server(LATE, LATE, "pod/waiting created")

    assert ask_again(server.ask, sleep=server.pauses.append) == "pod/waiting created"
    assert len(server.pauses) == 2


def test_it_is_not_asked_for_ever() -> None:
    server = Server(*[LATE] * 4, "never asked")

    with pytest.raises(CommandError, match="deadline exceeded"):
        ask_again(server.ask, sleep=server.pauses.append)


@pytest.mark.parametrize(
    "text",
    [
        "kubectl apply -f -: status 1: admission webhook denied the request: k40s.io/tasks",
        "kubectl get pods: status 1: context deadline exceeded",
    ],
)
def test_any_other_refusal_stands(text: str) -> None:
    server = Server(CommandError(text), "never asked")

    with pytest.raises(CommandError):
        ask_again(server.ask, sleep=server.pauses.append)
    assert server.pauses == []
