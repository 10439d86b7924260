import pytest

from k40s.errors import InvalidInputError


@pytest.mark.parametrize(
    ("found", "shown"), [(100, "100"), (None, "null"), (True, "true"), ("x", "'x'")]
)
def test_names_the_place_what_was_found_and_what_would_be_right(found: object, shown: str) -> None:
    error = InvalidInputError(
        source="k40s.io/tasks", path="$[0].period", found=found, expected="a duration"
    )

    assert f"k40s.io/tasks at $[0].period: found {shown}, expected a duration" == str(error)


def test_leaves_the_path_out_when_the_whole_text_is_meant() -> None:
    error = InvalidInputError(source="request body", path="$", found="{", expected="JSON")

    assert str(error) == "request body: found '{', expected JSON"


def test_shortens_what_was_found() -> None:
    error = InvalidInputError(source="s", path="$", found="x" * 10_000, expected="less")

    assert len(str(error)) < 200
