"""What a watched table does on a terminal and elsewhere."""

from io import StringIO

from cli.live.screen import Screen


def test_elsewhere_each_change_is_a_block_of_plain_lines() -> None:
    out = StringIO()
    screen = Screen(out, terminal=False)

    for text in ("a", "a", "b"):
        screen.show(text)

    assert out.getvalue() == "a\n\nb\n"


def test_a_terminal_is_written_over_and_cleared_once() -> None:
    out = StringIO()
    screen = Screen(out, terminal=True, height=lambda: 24)

    screen.show("long\nline")
    screen.show("b")

    assert out.getvalue() == (
        "\x1b[2J\x1b[Hlong\x1b[K\nline\x1b[K\n\x1b[J" + "\x1b[Hb\x1b[K\n\x1b[J"
    )


def test_a_terminal_shows_as_many_lines_as_fit() -> None:
    out = StringIO()

    Screen(out, terminal=True, height=lambda: 4).show("1\n2\n3\n4\n5")

    assert "2\x1b[K\n… 3 more lines" in out.getvalue()
