import json
from typing import Any

import pytest

from k40s.annotations import METRIC_KEY, PodMetric, parse_pod_metric
from k40s.errors import InvalidAnnotationError

WHOLE: dict[str, Any] = {"port": 9100, "metric": "latency_seconds", "above": 0.005}


def refusal(**changes: object) -> str:
    fields = {name: value for name, value in (WHOLE | changes).items() if value is not None}
    with pytest.raises(InvalidAnnotationError) as caught:
        parse_pod_metric(json.dumps(fields))
    return str(caught.value)


def test_port_name_and_bound_suffice() -> None:
    assert parse_pod_metric(json.dumps(WHOLE)) == PodMetric(
        port=9100, metric="latency_seconds", bound=0.005, path="/metrics", samples=3
    )


def test_everything_can_be_chosen() -> None:
    text = json.dumps(
        {
            "port": 80,
            "path": "/internal/metrics",
            "metric": "frames_per_second",
            "labels": {"quantile": "0.99"},
            "below": 24,
            "samples": 5,
        }
    )

    assert parse_pod_metric(text) == PodMetric(
        port=80,
        path="/internal/metrics",
        metric="frames_per_second",
        labels={"quantile": "0.99"},
        bound=24,
        below=True,
        samples=5,
    )


@pytest.mark.parametrize(
    ("below", "value", "outside"),
    [
        (False, 5.0, False),
        (False, 5.1, True),
        (False, float("inf"), True),
        (True, 5.0, False),
        (True, 4.9, True),
        (True, float("inf"), False),
        (False, float("nan"), True),
        (True, float("nan"), True),
    ],
)
def test_the_bound_itself_is_within_and_no_number_is_not(
    below: bool,
    value: float,
    outside: bool,
) -> None:
    assert PodMetric(port=1, metric="m", bound=5.0, below=below).exceeds(value) is outside


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"port": None}, "at $.port: found nothing, expected this field"),
        ({"port": 0}, "at $.port: found 0, expected a whole number from 1 to 65535"),
        ({"port": "http"}, "at $.port: found 'http', expected a whole number"),
        ({"metric": "a b"}, "at $.metric: found 'a b', expected the name of a Prometheus metric"),
        ({"path": "metrics"}, "at $.path: found 'metrics', expected a path such as"),
        ({"path": "//evil.example/"}, "at $.path: found '//evil.example/'"),
        ({"path": "/x?y=1"}, "at $.path: found '/x?y=1'"),
        ({"path": "/x y"}, "at $.path: found '/x y'"),
        ({"path": "/x\r\nHost: y"}, "at $.path: found"),
        ({"host": "10.0.0.1"}, 'at $.host: found the unknown field "host"'),
        ({"above": None}, "found 0 of them, expected one of the fields above and below"),
        ({"below": 1}, "found 2 of them, expected one of the fields above and below"),
        ({"above": "5ms"}, "at $.above: found '5ms', expected a number"),
        ({"samples": 0}, "at $.samples: found 0, expected a whole number from 1 to 60"),
        ({"labels": {"a-b": "x"}}, "at $.labels.a-b: found another name"),
        ({"labels": {"a": 1}}, "at $.labels.a: found 1, expected a label's value"),
        ({"labels": {f"l{n}": "x" for n in range(9)}}, "at most 8 labels"),
    ],
)
def test_a_wrong_field_is_named_with_what_would_be_right(
    changes: dict[str, object], said: str
) -> None:
    assert said in refusal(**changes)
    assert refusal(**changes).startswith(METRIC_KEY)


def test_a_text_that_is_no_json_or_too_long_is_refused() -> None:
    for text in ("port=80", "[]", json.dumps(WHOLE) + " " * 2048):
        with pytest.raises(InvalidAnnotationError, match=METRIC_KEY):
            parse_pod_metric(text)
