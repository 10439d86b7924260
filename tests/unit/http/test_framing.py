from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k40s.http.connections.framing import MAX_HEAD, RequestError, RequestFrame

MAX_BODY = 1000
PLAIN = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
SIZED = b"POST / HTTP/1.1\r\ncontent-LENGTH:  5 \r\n\r\nhello"
CHUNKED = (
    b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5;name=value\r\nhello\r\n1\r\n\n\r\n0\r\n\r\n"
)
TRAILED = CHUNKED[:-2] + b"Digest: x\r\n\r\n"
WHOLE = [PLAIN, SIZED, CHUNKED, TRAILED]


def end_of(received: bytes) -> int | None:
    return RequestFrame(max_body=MAX_BODY).end(bytearray(received))


@pytest.mark.parametrize("request_", WHOLE)
def test_a_request_ends_where_the_next_begins(request_: bytes) -> None:
    assert end_of(request_ + b"GET /next") == len(request_)


@pytest.mark.parametrize("request_", WHOLE)
def test_no_part_of_a_request_is_taken_for_all_of_it(request_: bytes) -> None:
    assert [end_of(request_[:size]) for size in range(len(request_))] == [None] * len(request_)


@given(st.sampled_from(WHOLE), st.lists(st.integers(1, 20)))
def test_it_does_not_matter_in_which_pieces_it_comes(request_: bytes, sizes: list[int]) -> None:
    frame = RequestFrame(max_body=MAX_BODY)
    received = bytearray()
    rest = request_ + b"GET /next HTTP/1.1\r\n\r\n"
    for size in sizes:
        received += rest[:size]
        rest = rest[size:]
        if frame.end(received) is not None:
            break
    else:
        received += rest

    assert frame.end(received) == len(request_)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_request_more_to_come_or_refused(junk: bytes) -> None:
    for head in (b"", PLAIN[:-2] + b"Transfer-Encoding: chunked\r\n\r\n"):
        with suppress(RequestError):
            end = end_of(head + junk)
            assert end is None or len(head) <= end <= len(head + junk)


def head(*fields: str) -> bytes:
    return "\r\n".join(("POST / HTTP/1.1", *fields, "", "")).encode()


@pytest.mark.parametrize(
    "fields",
    [
        ("Content-Length: 5", "Content-Length: 6"),
        ("Content-Length: 5, 5",),
        ("Content-Length: +5",),
        ("Content-Length: -1",),
        ("Content-Length: 0x5",),
        ("Content-Length:",),
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: gzip, chunked",),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: identity",),
    ],
)
def test_refuses_a_length_of_two_readings(fields: tuple[str, ...]) -> None:
    with pytest.raises(RequestError, match="400 Bad Request"):
        end_of(head(*fields))


def test_zeros_before_a_length_hide_none_of_the_body() -> None:
    request = head("Content-Length: " + "0" * 5000 + "5") + b"hello"

    assert end_of(request + b"GET /next") == len(request)


@pytest.mark.parametrize("line", ["x", "-1", "", "1" * 9, "5 5", "0x5", " 5"])
def test_refuses_a_chunk_whose_size_is_no_number(line: str) -> None:
    with pytest.raises(RequestError, match=r"400 Bad Request|413"):
        end_of(head("Transfer-Encoding: chunked") + line.encode() + b"\r\n")


@pytest.mark.parametrize(
    "request_",
    [
        head(f"Content-Length: {MAX_BODY + 1}"),
        head("Content-Length: " + "9" * 5000),
        head("Transfer-Encoding: chunked") + b"3e9\r\n",
        head("Transfer-Encoding: chunked") + b"3e8\r\n" + b"x" * MAX_BODY + b"\r\n1\r\n",
        head("Transfer-Encoding: chunked") + (b"1;" + b"x" * 90 + b"\r\nx\r\n") * 100,
    ],
)
def test_refuses_a_body_above_the_limit_before_it_comes(request_: bytes) -> None:
    with pytest.raises(RequestError, match="413 Content Too Large"):
        end_of(request_)


@pytest.mark.parametrize(
    "request_",
    [
        b"x" * (MAX_HEAD + 1),
        b"x" * MAX_HEAD + b"\r\n\r\n\r\n",
        head("Transfer-Encoding: chunked") + b"0\r\n" + b"x" * (MAX_HEAD + 1),
    ],
)
def test_refuses_what_does_not_end(request_: bytes) -> None:
    if request_.endswith(b"\r\n"):
        assert end_of(request_) is not None
        return
    with pytest.raises(RequestError, match="431"):
        end_of(request_)


def test_refuses_a_size_line_that_does_not_end() -> None:
    with pytest.raises(RequestError, match="size line"):
        end_of(head("Transfer-Encoding: chunked") + b"1" * 9000)


def test_knows_who_waits_to_be_told_to_go_on() -> None:
    frame = RequestFrame(max_body=MAX_BODY)

    assert frame.end(bytearray(head("Expect: 100-Continue", "Content-Length: 5"))) is None
    assert (frame.has_head, frame.expects_continue) == (True, True)


def test_a_client_of_http_1_0_is_not_told_to_continue() -> None:
    frame = RequestFrame(max_body=MAX_BODY)
    request = head("Expect: 100-continue", "Content-Length: 5").replace(b"HTTP/1.1", b"HTTP/1.0")

    assert frame.end(bytearray(request)) is None
    assert (frame.has_head, frame.expects_continue) == (True, False)
