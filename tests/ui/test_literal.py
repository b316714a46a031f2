"""Hostile names in a widget that reads Markdown: what a browser shows is the name, and nothing else."""

from __future__ import annotations

import pytest

from ui.shell.words import JOINER, literal, literal_lines


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("*a* _b_ ~~c~~", "\\*a\\* \\_b\\_ \\~\\~c\\~\\~"),
        ("[x](javascript:alert(1))", "\\[x\\](javascript:alert(1))"),
        ("<b>$x$</b>", "\\<b\\>\\$x\\$\\</b\\>"),
        (":smile: :red[x] :material/x:", f":{JOINER}smile: :{JOINER}red\\[x\\] :{JOINER}material/x:"),
        ("see https://x.example www.x.example", f"see h{JOINER}ttps://x.example w{JOINER}ww.x.example"),
        ("snake_case 10:30 a:b 1.5%", "snake_case 10:30 a:b 1.5%"),
        ("a\n\n# b", "a \\# b"),
        ("kpis/a.yml:3: wrong", "kpis/a.yml:3: wrong"),
        ("- a", f"-{JOINER} a"),
        ("Error-free sessions", "Error-free sessions"),
    ],
)
def test_one_line(text: str, written: str) -> None:
    assert literal(text) == written


def test_code_of_ours_stays_code_and_lines_stay_lines() -> None:
    assert literal_lines("`agg: *` is *wrong*\n# next") == "`agg: *` is \\*wrong\\*  \n\\# next"
    assert literal_lines("a ` b") == "a \\` b"
