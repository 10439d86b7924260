from fractions import Fraction

import pytest

from k40s.errors import InvalidInputError
from workbench.document import (
    MAX_DOCUMENT,
    MAX_VALUES,
    read_document,
    read_documents,
    read_fraction,
)


def fault(text: str, source: str = "set.yaml") -> str:
    with pytest.raises(InvalidInputError) as caught:
        read_document(text, source=source)
    return str(caught.value)


def test_yaml_and_json_give_the_same_values() -> None:
    yaml = read_document('a: [1, 2.5, "x", true, null]\n', source="s.yaml")
    json = read_document('{"a": [1, 2.5, "x", true, null]}', source="s.json")

    assert yaml.value == json.value == {"a": [1, 2.5, "x", True, None]}


def test_json_is_known_by_its_first_sign_where_the_name_says_nothing() -> None:
    assert read_document('\t{"a":\t1}', source="standard input").value == {"a": 1}


def test_a_date_stays_text() -> None:
    assert read_document("a: 2026-01-01", source="s.yaml").value == {"a": "2026-01-01"}


def test_empty_documents_are_left_out() -> None:
    found = read_documents("---\n---\na: 1\n---\n", source="s.yaml")

    assert [place.value for place in found] == [{"a": 1}]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("a: 1\na: 2", "set.yaml: found the field 'a' more than once, expected each field once"),
        ("a: {b: 1, b: 2}", "set.yaml at $.a: found the field 'b' more than once, expected"),
        ("a: !!python/object:os.system x", "set.yaml at $.a: found the tag tag:yaml.org,2002:pyt"),
        ("a: !!binary aGk=", "set.yaml at $.a: found the tag tag:yaml.org,2002:binary"),
        ("? [a]\n: 1", "set.yaml: found a field whose name is no text, expected names as text"),
        ("a: [1,\n", "set.yaml: found expected the node content, but found '<stream end>', at"),
        ("a: 1\n---\nb: 2", "set.yaml: found 2 documents, expected one document"),
        ("", "set.yaml: found 0 documents, expected one document"),
        ("a: 0x_", "set.yaml at $.a: found 0x_, expected a number"),
        ("a: " + "9" * 5000, "set.yaml at $.a: found 999"),
        ("a: &x [*x]", "nested at most 40 deep"),
        ("[" * 200, "found more, expected at most 100000 values, nested at most 40 deep"),
        ("x" * (MAX_DOCUMENT + 1), "set.yaml: found 1048577 characters, expected at most 1048576"),
    ],
)
def test_a_fault_names_its_path(text: str, error: str) -> None:
    assert error in fault(text)


def test_aliases_that_unfold_without_end_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for level in range(1, 8):
        names = ", ".join([f"*a{level - 1}"] * 10)
        lines.append(f"a{level}: &a{level} [{names}]")

    assert f"at most {MAX_VALUES} values" in fault("\n".join(lines))


def test_a_plain_number_is_a_fraction_as_it_is_written() -> None:
    place = read_document("[0.95, 1, 3/2, '0.1']", source="s.yaml")

    found = [read_fraction(item) for item in place.items(at_most=4)]

    assert found == [Fraction(19, 20), 1, Fraction(3, 2), Fraction(1, 10)]


@pytest.mark.parametrize("text", ["[.nan]", "[-0.5]", "[true]", "[1e40]"])
def test_what_is_no_fraction_is_refused(text: str) -> None:
    place = read_document(text, source="s.yaml").items(at_most=1)[0]

    with pytest.raises(InvalidInputError, match=r"at \$\[0\]: found .* expected a fraction"):
        read_fraction(place)
