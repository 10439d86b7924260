from fractions import Fraction

import pytest

from k40s.errors import InvalidInputError
from workbench.inputs.document import (
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
        ("a: [1,\n", "set.yaml: found no YAML in line 2 column 1 ("),
        ("a: 1\n---\nb: 2", "set.yaml: found 2 documents, expected one document"),
        ("", "set.yaml: found nothing but spaces and comments, expected a document"),
        ("# x\n---\n", "set.yaml: found nothing but spaces and comments, expected a document"),
        (
            "a:\n\tb: 1",
            "set.yaml: found a tab in line 2 column 1, expected spaces: YAML is not ind",
        ),
        ("a: 1\n---\nb:\n \t- 1", "set.yaml, document 2: found a tab in line 4 column 2, expect"),
        ("a: 1\n---\nb: 1\nb: 2", "set.yaml, document 2: found the field 'b' more than once"),
        (
            "a: \x01",
            "set.yaml: found a character that no text has, expected YAML or JSON, in UTF-8",
        ),
        ("--- {a: 1}", "set.yaml: found more than --- in line 1, expected a line with nothing but"),
        ("a: .inf", "set.yaml at $.a: found .inf, expected a finite number: Kubernetes refuses"),
        ("a: *b", "set.yaml at $.a: found the alias *b without an anchor, expected an anchor &b"),
        ("a: {<<: [1]}", "set.yaml at $.a.<<: found what is no mapping, expected a mapping or a"),
        ("1.5: a", "set.yaml: found a field whose name is no text, expected names as text: put"),
        ("a: " + "9" * 5000, "set.yaml at $.a: found 999"),
        ("a: &x [*x]", "set.yaml at $.a[0]: found the alias *x that contains itself, expected an"),
        ("[" * 200, "found more, expected at most 100000 values, nested at most 100 deep"),
        ("[" * 500_000, "found more, expected at most 100000 values, nested at most 100 deep"),
        ("- " * 500_000, "found more, expected at most 100000 values, nested at most 100 deep"),
        ("{a: " * 200_000, "found more, expected at most 100000 values, nested at most 100 deep"),
        ("a\n---\n" * 100_000, "found more than 500 documents, expected at most 500 documents"),
        ("a: 1\n" * 150_000, "found the field 'a' more than once"),
        ("- 1\n" * 150_000, "found more, expected at most 100000 values, nested at most 100 deep"),
        ("x" * (MAX_DOCUMENT + 1), "set.yaml: found more than 1048576 characters, expected at mo"),
    ],
)
def test_a_fault_names_its_path(text: str, error: str) -> None:
    assert error in fault(text)


def bomb(*, merged: bool) -> str:
    first = ", ".join(f"x{n}: 1" for n in range(10))
    lines = [f"a0: &a0 {{{first}}}" if merged else "a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for level in range(1, 9):
        names = ", ".join([f"*a{level - 1}"] * 10)
        body = f"{{<<: [{names}], y{level}: 1}}" if merged else f"[{names}]"
        lines.append(f"a{level}: &a{level} {body}")
    return "\n".join(lines)


@pytest.mark.parametrize("merged", [False, True])
def test_aliases_that_unfold_without_end_are_refused(merged: bool) -> None:  # a parameter
    assert "almost nothing but aliases" in fault(bomb(merged=merged))


def test_many_aliases_are_counted_as_what_they_stand_for() -> None:
    many = "a: &a [" + "x, " * 2000 + "]\nb: [" + "*a, " * 80 + "]\n" + "c: [" + "x, " * 3000 + "]"

    assert f"at most {MAX_VALUES} values" in fault(many)


def test_what_is_not_indented_by_tabs_may_have_tabs() -> None:
    assert read_document('a: "x\ty"\nb: 1 \t# note\n', source="s.yaml").value == {
        "a": "x\ty",
        "b": 1,
    }


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('{"a": 1}{"b": 2}', "found more behind the first JSON value, expected one JSON object"),
        ("  ", "set.json: found nothing, expected a document"),
        ("{", "set.json: found '{', expected JSON"),
    ],
)
def test_a_fault_of_json_is_told_as_one_of_json(text: str, error: str) -> None:
    assert error in fault(text, "set.json")


def test_what_begins_like_json_may_be_yaml() -> None:
    assert read_document("{a: 1}", source="standard input").value == {"a": 1}


def test_a_plain_number_is_a_fraction_as_it_is_written() -> None:
    place = read_document("[0.95, 1, 3/2, '0.1']", source="s.yaml")

    found = [read_fraction(item) for item in place.items(at_most=4)]

    assert found == [Fraction(19, 20), 1, Fraction(3, 2), Fraction(1, 10)]


@pytest.mark.parametrize("text", ["[-0.5]", "[true]", "[1e40]", "[NaN]"])
def test_what_is_no_fraction_is_refused(text: str) -> None:
    place = read_document(text, source="s.yaml").items(at_most=1)[0]

    with pytest.raises(InvalidInputError, match=r"at \$\[0\]: found .* expected a fraction"):
        read_fraction(place)
