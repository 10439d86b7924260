import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from daemons.malacoda.actuator.protocol import Answer, Request, Result, Verb, format_answer
from daemons.malacoda.response.client import ActuatorClient
from k40s.errors import UnavailableError

KEEP = Request(verb=Verb.KEEP)


@contextmanager
def serving(path: Path, *answers: bytes) -> Iterator[list[bytes]]:
    """A server that answers one line after the other, then closes; yields what it has read."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    heard: list[bytes] = []

    def serve() -> None:
        peer, _ = listener.accept()
        with peer, suppress(OSError):  # the client may have gone
            for answer in answers:
                heard.append(peer.recv(4096))
                peer.sendall(answer)
            peer.recv(4096)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield heard
    listener.close()
    thread.join(60)


def test_requests_are_answered_on_one_connection(tmp_path: Path) -> None:
    path = tmp_path / "s"
    answers = [Answer(result=Result.DONE), Answer(result=Result.REFUSED, reason="holds")]
    with serving(path, *map(format_answer, answers)) as heard:
        client = ActuatorClient(path)

        assert [client.ask(KEEP), client.ask(KEEP)] == answers
        client.close()

    assert heard == [b'{"do":"keep"}\n'] * 2


def test_an_absent_actuator_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="No such file"):
        ActuatorClient(tmp_path / "s").ask(KEEP)


@pytest.mark.parametrize(
    ("answer", "trouble"), [(b"hello\n", "expected JSON"), (b"{}\n", "expected this field")]
)
def test_an_answer_that_cannot_be_read_is_none(tmp_path: Path, answer: bytes, trouble: str) -> None:
    with serving(tmp_path / "s", answer):
        client = ActuatorClient(tmp_path / "s")

        with pytest.raises(UnavailableError, match=trouble):
            client.ask(KEEP)


def test_one_that_does_not_answer_is_not_waited_for(tmp_path: Path) -> None:
    with serving(tmp_path / "s", b""):
        client = ActuatorClient(tmp_path / "s", seconds=0.05)

        with pytest.raises(UnavailableError, match=r"timed out|in time"):
            client.ask(KEEP)


def test_one_that_never_ends_its_line_is_let_go(tmp_path: Path) -> None:
    with serving(tmp_path / "s", b"x" * 100_000):
        client = ActuatorClient(tmp_path / "s")

        with pytest.raises(UnavailableError, match="too long"):
            client.ask(KEEP)


def test_it_connects_again_after_a_failure(tmp_path: Path) -> None:
    client = ActuatorClient(tmp_path / "s")
    with pytest.raises(UnavailableError):
        client.ask(KEEP)

    with serving(tmp_path / "s", format_answer(Answer(result=Result.DONE))):
        assert client.ask(KEEP).result is Result.DONE
        client.close()
