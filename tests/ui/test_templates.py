"""Markup of the dashboard is made by templates, and nothing that data or users say reaches it unescaped."""

from __future__ import annotations

import ast
import dataclasses
import re
import types
import typing
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from jinja2 import UndefinedError

from connectors.state.audit import Entry
from jobs.snapshots.board import Entry as Taken
from metrics.alerts.board import AlertItem
from metrics.alerts.change import Change
from metrics.kpi_views.card import Card
from metrics.kpi_views.status import Status
from metrics.kpi_views.types.funnel import Step
from metrics.kpi_views.types.retention import Cohort
from metrics.kpi_views.types.survey import Comment
from metrics.launches.board import DraftItem, LaunchItem, Light
from metrics.launches.forest import Light as GuardLight
from metrics.launches.forest import Row
from metrics.launches.page import KpiBlock, ReadingRow
from metrics.launches.people.people_block import PeopleBlock, PeopleRow
from metrics.launches.segments_block import SegmentsBlock
from metrics.quality.data_page import DatasetRow, SourceRow
from metrics.snapshots.comparing import Pair
from ui.shell.templates import FOLDER, environment, markup
from ui.shell.url import Unknown

ROOT = Path(__file__).resolve().parents[2]
TAG = re.compile(r"</?[a-zA-Z]")
BAD = """<script>alert(1)</script>"'> onclick='alert(1)'"""
LINK = "javascript:alert(1)"


def hostile(kind: Any, **given: Any) -> Any:
    """A value of a type whose every text is an attack; fields in `given` have to be one of few."""
    if kind is str:
        return BAD
    if kind in (int, float, bool):
        return kind(1)
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        names = [f.name for f in dataclasses.fields(kind) if f.name not in given]
        return typing.cast(Any, kind)(**{n: hostile(hints[n]) for n in names}, **given)
    arguments = typing.get_args(kind)
    if isinstance(kind, types.UnionType):
        return hostile(arguments[0])
    if typing.get_origin(kind) is tuple:
        return tuple(hostile(a) for a in arguments if a is not Ellipsis)
    raise TypeError(f"Say here how a {kind} is made hostile.")


LIGHTS = tuple(hostile(Light, slug=slug) for slug in ("good", "bad", "quiet"))
CARD = hostile(Card, status=hostile(Status, slug="off_track"))
BLOCK = hostile(KpiBlock, path=None, readings=(hostile(ReadingRow), hostile(ReadingRow, restated="")))
SHAPE = types.SimpleNamespace(
    unit=BAD, at=1, columns=("0", "1", BAD), latest_period=BAD, latest=((BAD, BAD, BAD),), labels={BAD: BAD}
)
FOUND = types.SimpleNamespace(
    line=BAD,
    again=BAD,
    label=BAD,
    words=BAD,
    share=BAD,
    bridge=(BAD,),
    within=((BAD, BAD, BAD),),
    groups=((BAD, BAD, BAD),),
)
ENTRY = types.SimpleNamespace(card=CARD, type=BAD, grain=BAD, additivity=BAD, counted=BAD)
ROWS = ((BAD, BAD),)
# Template → what it is given. `parts` is what the others import.
SAMPLES: dict[str, dict[str, Any]] = {
    "account/tokens": {"rows": [(types.SimpleNamespace(name=BAD, scopes=(BAD, BAD)), BAD, BAD, BAD)]},
    "alerts/incident": {
        "item": hostile(AlertItem, state="firing"),
        "slug": BAD,
        "query": BAD,
        "told": [BAD, BAD],
        "lines": [BAD],
    },
    "alerts/unattended": {"count": BAD, "links": [(BAD, BAD, BAD), (BAD, BAD, BAD)], "more": BAD},
    "audit/entries": {"rows": [(hostile(Entry), BAD, BAD)]},
    "data/datasets": {"rows": [hostile(DatasetRow, state="stale")]},
    "data/overdue": {"words": BAD},
    "data/sources": {"rows": [(hostile(SourceRow, state="failed", pulled_at=None), BAD)]},
    "kpi/answers": {"shape": SHAPE},
    "kpi/change": {"change": hostile(Change, note="")},
    "kpi/chips": {"items": [(BAD, hostile(AlertItem, state="firing"), BAD, BAD)]},
    "kpi/counts": {"line": BAD, "counts": [(BAD, BAD, BAD)]},
    "kpi/draft": {},
    "kpi/funnel": {"steps": [hostile(Step)]},
    "kpi/funnel_segments": {"heads": ROWS, "segments": ((BAD, (BAD, BAD)),)},
    "kpi/hero": {"card": CARD, "target": BAD, "owner": BAD},
    "kpi/keep_rule": {"name": BAD},
    "kpi/launches": {"items": [(BAD, BAD), (BAD, BAD)]},
    "kpi/mark": {"name": BAD, "label": BAD},
    "kpi/list": {"entries": [ENTRY]},
    "kpi/triangle": {"shape": SHAPE, "rows": [(hostile(Cohort), [(50.0, 20.0), None])]},
    "kpi/would": {"found": FOUND},
    "launches/adoption": {"found": FOUND},
    "launches/decision": {"what": BAD, "why": BAD, "who": BAD},
    "launches/drafts": {"items": [hostile(DraftItem), hostile(DraftItem, link=LINK)]},
    "launches/first": {},
    "launches/forest": {
        "rows": [hostile(Row, interim=True), hostile(Row, interim=False)],
        "lights": [hostile(GuardLight, slug=slug) for slug in ("good", "bad", "quiet")],
    },
    "launches/go_to_market": {"items": [(BAD, BAD, BAD, True), (BAD, BAD, BAD, False)]},
    "launches/headline": {"said": ROWS},
    "launches/hypothesis": {"words": BAD},
    "launches/links": {"links": [(BAD, LINK), (BAD, f"https://x/{BAD}"), (BAD, BAD)]},
    "launches/list": {"items": [hostile(LaunchItem, phase="running", lights=LIGHTS)]},
    "launches/marks": {"marks": [(BAD, BAD, BAD, BAD)]},
    "launches/plan": {"plans": [(BAD, [(BAD, BAD, True)])]},
    "launches/segments": {"looked": BAD, "blocks": [hostile(SegmentsBlock)]},
    "launches/people": {"found": hostile(PeopleBlock, rows=(hostile(PeopleRow, slug="bad", guard_slug="good"),))},
    "launches/readiness": {"checks": [("warning", BAD)]},
    "launches/scores": {"blocks": [BLOCK]},
    "launches/split": {"bars": [(BAD, BAD, 0.5)]},
    "launches/voice": {"found": FOUND},
    "launches/words": {"rows": ROWS},
    "shell/banner": {"words": BAD, "link": BAD},
    "shell/demo": {"name": BAD, "questions": [{"address": BAD, "text": BAD}]},
    "shell/done": {},
    "shell/facts": {"rows": ROWS},
    "shell/first_head": {"scripts": [BAD]},
    "shell/line": {"words": BAD},
    "shell/lines": {"lines": [BAD, BAD]},
    "shell/lists": {"lists": ((BAD, [BAD]), ("", [BAD]))},
    "shell/unknown": {"words": BAD, "links": [(BAD, BAD), (BAD, BAD)], "listing": (BAD, BAD)},
    "shell/unknown_choices": {"found": [hostile(Unknown, links=((BAD, BAD),))]},
    "shell/trail": {"steps": ROWS, "here": BAD, "what": BAD, "before": (BAD, BAD), "after": (BAD, BAD)},
    "shell/voices": {"line": BAD, "comments": [hostile(Comment)]},
    "snapshots/archive": {"entries": [hostile(Taken)]},
    "snapshots/compare": {"pairs": [hostile(Pair)], "earlier": BAD, "later": BAD, "labels": {BAD: BAD}},
}
# What is markup already: the only templates that say `safe`, each with the reason in its first line.
MADE_BY_US = {"shell/style", "shell/first_body", "snapshots/body"}
IMPORTED = {"shell/parts"}
FIXED = {"kpi/draft", "launches/first", "shell/done"}


class Read(HTMLParser):
    """Tags, attributes and text, as a browser reads them; a tag that is never closed is noticed."""

    def __init__(self, body: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(body)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(key, value or "") for key, value in attrs]
        self.open += [tag] if tag != "link" else []  # which has no end

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def names() -> set[str]:
    return {path.relative_to(FOLDER).as_posix().removesuffix(".html.j2") for path in FOLDER.rglob("*.j2")}


def test_every_template_has_its_hostile_values() -> None:
    assert names() == {*SAMPLES, *MADE_BY_US, *IMPORTED}


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_nothing_hostile_gets_through(name: str) -> None:
    body = markup(name, **SAMPLES[name])
    found = Read(body)
    assert found.open == []
    assert "script" not in found.tags
    assert "<script" not in body
    known = {
        "class",
        "href",
        "target",
        "style",
        "tabindex",
        "scope",
        "role",
        "colspan",
        "aria-label",
        "data-testid",
    } | {"aria-hidden", "id", "rel", "as", "type", "crossorigin"}
    assert {key for key, _ in found.attributes} <= known
    assert [value for key, value in found.attributes if key == "href" and "javascript:" in value] == []
    assert (name in FIXED) == ("&lt;script&gt;" not in body)


@pytest.mark.parametrize("name", sorted(set(SAMPLES) - FIXED))
def test_a_value_that_is_missing_is_an_error(name: str) -> None:
    with pytest.raises(UndefinedError):
        markup(name)


def test_only_our_own_markup_is_said_to_be_safe() -> None:
    sources = {name: (FOLDER / f"{name}.html.j2").read_text() for name in names()}
    assert {
        name for name, source in sources.items() if re.search(r"\|\s*safe\b|autoescape|Markup", source)
    } == MADE_BY_US
    assert all(sources[name].startswith("{# safe: ") for name in MADE_BY_US)
    assert environment().autoescape is True


def test_a_line_break_beside_a_tag_is_no_space_and_between_words_it_is_one() -> None:
    made = environment().from_string(
        "<ul>\n  {% for x in y %}\n  <li>{{ x }}</li>\n  {% endfor %}\n</ul>\none\n  two\n"
    )
    assert made.render(y="ab") == "<ul><li>a</li><li>b</li></ul>one two"


def python_files() -> list[Path]:
    found = [path for top in ("ui", "pages") for path in sorted((ROOT / top).rglob("*.py"))]
    assert len(found) > 30
    return found


def markup_in(source: str) -> list[int]:
    """Lines of f-strings that build markup."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.JoinedStr)
        and any(isinstance(part, ast.Constant) and TAG.search(str(part.value)) for part in node.values)
    ]


def test_no_f_string_builds_markup() -> None:
    assert markup_in('f"<p>{x}"') == markup_in('f"{x}</p>"') == [1]
    assert {
        path.relative_to(ROOT).as_posix(): found for path in python_files() if (found := markup_in(path.read_text()))
    } == {}


def test_markup_reaches_the_page_in_one_place() -> None:
    calls = re.compile(r"\bst\.html\(|unsafe_allow_html|\bMarkup\(")
    found = {path.relative_to(ROOT).as_posix(): len(calls.findall(path.read_text())) for path in python_files()}
    assert {name: count for name, count in found.items() if count} == {"ui/shell/templates.py": 2}
