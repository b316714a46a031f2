"""Hostile names in a widget that reads Markdown: what a browser shows is the name, and nothing else."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.conftest import ROOT
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


# Widgets whose first argument is read as Markdown, and what stands there that is neither `literal` nor our own words.
MARKDOWN = (
    "title header subheader caption write markdown info error warning success toast button expander popover "
    "link_button download_button checkbox toggle radio slider selectbox multiselect text_input text_area date_input "
    "tabs metric page_link form_submit_button spinner segmented_control pills"
)
OURS = {
    "ui/alerts/incident.py": {"f'{label} ✓' if item.mark == verdict else label", "words", "label"},
    "ui/kpi/change.py": {"f'{change.heading}. {change.note}'"},  # days and weeks
    "ui/kpi/drawers.py": {"[VALUES, ALERTS, DEFINITION, ORIGIN]"},
    "ui/kpi/rule.py": {
        "f\"Fires when {('below' if slide.operator == '<' else 'above')}\" + "
        "(f' ({slide.suffix})' if slide.suffix else '')"
    },
    "ui/kpi/types/funnel.py": {"f'Steps, {shape.period}'"},
    "ui/launches/form.py": {"question"},
    "ui/main.py": {"page.title"},  # of trail.title, which is a template's
    "ui/shell/empty.py": {
        "f\"This project has {counted(known, 'source')}. Load {('it' if known == 1 else 'them')} once; "
        'later syncs add what is new."'
    },
    "ui/shell/filters.py": {"dimension.replace('_', ' ').capitalize()"},
    "ui/shell/gate.py": {"words"},
    "ui/shell/logs.py": {"SENTENCE"},
    "ui/shell/sync_now.py": {"done"},
    "ui/shell/waiting.py": {"f'Query running in the warehouse: {took}. It is stopped after {seconds:g} s.'"},
    "ui/snapshots/actions.py": {"label", "f'Send to {len(left)}'"},
    "pages/alerts.py": {"title"},
    "pages/kpi.py": {
        "found.chart.title",  # grains
        "f'No complete {found.chart.grain} in this range. {found.chart.note}'",
        "f'Filters ({len(where)})' if where else 'Filters'",
    },
    "pages/snapshots.py": {"f'Take week {week}'"},
}


def markdown(path: Path) -> set[str]:
    """First arguments of such widgets in a file, as code."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MARKDOWN.split():
            said = ast.unparse(node.args[0]) if node.args else ""
            if said and not isinstance(node.args[0], ast.Constant) and "literal" not in said:
                found.add(said)
    return found


def test_no_text_of_data_or_people_is_read_as_markdown() -> None:
    files = [path for top in ("ui", "pages") for path in sorted((ROOT / top).rglob("*.py"))]
    found = {path.relative_to(ROOT).as_posix(): markdown(path) for path in files}
    assert {file: said for file, said in found.items() if said - OURS.get(file, set())} == {}
    assert {file: said for file, said in OURS.items() if said - found[file]} == {}, "gone"
