"""Whatever somebody types into a field of a page, it is that text, or it is refused: no other YAML, no other SQL.

The list of fields is that of the code: a field that is added fails until it stands here.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from connectors.errors import KpiError, UnknownName
from connectors.state.limits import LIMITS
from connectors.state.snapshots import notes
from jobs.access.tokens import create
from jobs.access.tokens import listed as tokens
from jobs.audit.listing import listed, search_of
from jobs.authoring.add import extended
from jobs.authoring.add_type import _answers, _entry, _starter, starters
from jobs.authoring.names import flow
from jobs.launches.registry import add, as_text, text_of
from jobs.launches.scorecards import decide
from jobs.project.project import Project
from jobs.snapshots.archived import write_note
from jobs.snapshots.take import take_by_hand
from metrics.catalog.segments import Segments, among, segments
from metrics.engine.answer import answer
from metrics.engine.query import Filter, Query
from metrics.presentation.format import plain
from tests.conftest import NOW, ROOT, Builder
from tests.sampling import sampled
from ui.launches.form import _line, _slug, _step

TYPED = {"text_input", "text_area", "number_input", "chat_input", "file_uploader", "data_editor", "camera_input"}
# File → which of its fields, by label or key, and what in here types into them.
FIELDS: dict[str, dict[str, str]] = {
    "pages/kpis.py": {"Search": "search"},
    "ui/account/tokens.py": {"Name of a new token": "token"},
    "ui/audit/entries.py": {"Text": "audit", "Who": "audit", "What": "audit", "From": "audit", "To": "audit"},
    "ui/data/source_form.py": {"Name of the source": "source", "literal(label)": "source"},
    "ui/launches/form.py": {
        "Name": "launch",
        "Owner": "launch",
        "What is it built to do?": "launch",
        "KPI by KPI": "launch",
        "Rollout, a step a line": "launch",
        "Usage filter": "usage",
        "Go-to-market, a line each: audience | message | channel": "launch",
    },
    "ui/launches/scorecard.py": {"Word": "search", "Why": "decision", "Definition (YAML)": "definition"},
    "ui/snapshots/actions.py": {"What should a reader know?": "note"},
}
NASTY = (
    "'; DROP TABLE t; --", "' OR '1'='1", '" OR 1=1 --', "a\nb: c", "a: b", "- a", "{a: b}", "[a]", "&a *a",
    "!!python/object:os.x", "!!binary aGk=", "? a", "| a", "> a", "% a", "@a", "`a`", "# a", " # a", "a #b", "---",
    "...", "<<: *a", "${KPI_CANARY}", "null", "~", "true", "No", "on", "1e3", "0x1F", "1_000", "2026-11-01", ".nan",
    ".inf", "=", "\\", "\\'", "'", "''", '"', "\\n", "\u2028", "\u0085", "\ufeff", "\t", "a\tb", "\u202e", "%", "_",
    "%s", "{0}", "{{ 7*7 }}", "$1", "?", ":x", "::", "x'--", "/*", "SELECT 1", "a' IN ('b", "') OR ('1'='1", "😀",
    "é", "漢字",
)  # fmt: skip
# What a browser can send: valid UTF-8, without the NUL that no database takes in a text.
TEXTS = st.one_of(
    st.sampled_from(NASTY),
    st.lists(st.sampled_from(NASTY), min_size=2, max_size=3).map("".join),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20),
)


def fields() -> dict[str, set[str]]:
    """What can be typed into, as the code of the pages has it."""
    found: dict[str, set[str]] = {}
    for top in ("ui", "pages"):
        for path in sorted((ROOT / top).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in TYPED:
                    label = node.args[0]
                    words = str(label.value) if isinstance(label, ast.Constant) else ast.unparse(label)
                    words = "KPI by KPI" if isinstance(label, ast.JoinedStr) else words
                    found.setdefault(path.relative_to(ROOT).as_posix(), set()).add(words)
    return found


def test_every_field_is_typed_into() -> None:
    assert fields() == {file: set(named) for file, named in FIELDS.items()}
    assert {way for named in FIELDS.values() for way in named.values()} == {*WAYS, "search"}


def read(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Segments that are attacks, a KPI, a week that was frozen."""
    project = Builder(tmp_path_factory.mktemp("fields") / "project")
    at = pd.date_range("2026-10-01", "2026-11-22", freq="D")
    rows = [{"at": day, "id": n, "name": text, "v": 1} for n, text in enumerate(NASTY) for day in at[: n % 9 + 1]]
    project.rows("t", pd.DataFrame(rows), entity="id", dimensions="[name]")
    project.kpi("k", "dataset: t\nagg: sum\nexpr: v")
    (project.folder / "snapshots").mkdir()
    project.write("snapshots", "weekly", "name: weekly\ntitle: Week\nschedule: {wait: 0d}\n")
    assert not project.sync().failed
    return project.open()


def typed_launch(made: Project, texts: list[str]) -> None:
    """As `_save` of the form does with what its fields hold."""
    label, owner, hypothesis, wish, steps, lines = texts
    expected = {"expect": wish.strip()} if len(wish) % 2 else {}
    rollout = [_step(one) for one in steps.splitlines() if one.strip()] if len(steps) % 3 == 0 else []
    lines = lines if len(lines) % 2 else ""
    wanted = {
        "name": f"a_{_slug(label)}"[:80], "label": label.strip(), "kind": "launch",
        "on": None if rollout else "2026-11-02",
        "owner": owner.strip(), "hypothesis": hypothesis.strip(), "success": [{"kpi": "k", **expected}],
        "rollout": rollout,
        "go_to_market": [_line(one) for one in lines.splitlines() if one.strip()],
    }  # fmt: skip
    text = as_text(wanted)
    assert read(text) == {key: value for key, value in wanted.items() if value not in ("", None, [], {}, ())}
    try:
        kept = add(made, text, by=owner, now=NOW, replace=True, from_page=True)
    except KpiError:
        assert expected or rollout or lines, "nothing of it can be wrong"
        return
    assert (kept.label, kept.hypothesis) == (wanted["label"], wanted["hypothesis"])
    assert read(text_of(made, kept.name) or "") == read(text)


def typed_usage(made: Project, texts: list[str]) -> None:
    """What passes names values of one column, and nothing else."""
    adoption = {"dataset": "t", "used": texts[0]}
    text = as_text({"name": "usage", "on": "2026-11-02", "success": [{"kpi": "k"}], "adoption": adoption})
    try:
        kept = add(made, text, by="t", now=NOW, replace=True, from_page=True)
    except KpiError:
        return
    assert kept.adoption is not None and segments(kept.adoption.used) is not None


def typed_definition(made: Project, texts: list[str]) -> None:
    """The whole YAML of a launch: what it may ask of the data is as narrow."""
    text = f"name: usage\non: 2026-11-02\nsuccess: [{{kpi: k}}]\n{texts[0]}: {texts[1]}\naudience: {texts[2]}\n"
    try:
        kept = add(made, text, by="t", now=NOW, replace=True, from_page=True)
    except KpiError:
        return
    assert not kept.audience or segments(kept.audience) is not None


def typed_source(made: Project, texts: list[str]) -> None:
    """Entries of sources.yml: as many, with the keys that they have, and each value the text that was typed."""
    for kind in sorted(starters()):
        starter = _starter(kind)
        options = [question for question in starter.questions if not question.secret and not question.inside]
        given = {question.option: texts[n % len(texts)].strip() or "x" for n, question in enumerate(options)}
        entry = _entry("a", kind, {option: flow(text) for option, text in given.items()}, starter.tables[0])
        (found,) = read(entry)
        assert {option: found[option] for option in given} == given
        assert {*found} == {"name", "type", "table", *given, *starter.tables[0].options}
    with pytest.raises(KpiError):
        _answers(starter, {f"x{texts[0]}": "y"}, None, "a", kind)  # a key is none that was typed
    listed_ = extended(made.folder / "sources.yml", f"- {{name: b, a: {flow(texts[0])}, b: [{flow(texts[1])}]}}\n")
    assert read(listed_)[-1] == {"name": "b", "a": texts[0], "b": [texts[1]]}


def typed_note(made: Project, texts: list[str]) -> None:
    document = take_by_hand(made, "weekly", "", by="t", now=NOW)
    try:
        write_note(made, document, texts[0], by=texts[1] or "t", now=NOW)
    except KpiError:
        assert not plain(texts[0])
        return
    with made.state.reading() as connection:
        assert plain(texts[0]) in {one.text for one in notes(connection, "weekly", document.week)}


def typed_decision(made: Project, texts: list[str]) -> None:
    add(made, "name: decided\non: 2026-11-02\nsuccess: [{kpi: k}]\n", by="t", now=NOW, replace=True)
    kept = decide(made, "decided", "keep", texts[0], by=texts[1] or "t", now=NOW)
    assert kept.why == texts[0].strip()
    assert listed(made.state, search_of(what="launch_decided")).entries[0].subject == "launch:decided"


def typed_token(made: Project, texts: list[str]) -> None:
    before = {one.name for one in tokens(made.state, now=NOW)}
    try:
        create(made.state, texts[0].strip(), ["read"], timedelta(days=1), by=texts[1], now=NOW)
    except KpiError:
        assert {one.name for one in tokens(made.state, now=NOW)} == before
    else:
        assert {one.name for one in tokens(made.state, now=NOW)} == {*before, texts[0].strip()}


def typed_audit(made: Project, texts: list[str]) -> None:
    """What is found holds the text: `%` and `_` are letters."""
    try:
        search = search_of(text=texts[0], who=texts[1], subject=texts[2], since=texts[3].strip(), until="")
    except KpiError:
        return
    for entry in listed(made.state, search).entries:
        assert texts[1].lower() in entry.who.lower() and texts[2].lower() in entry.subject.lower()


WAYS: dict[str, Callable[[Project, list[str]], None]] = {
    "launch": typed_launch, "usage": typed_usage, "definition": typed_definition, "source": typed_source,
    "note": typed_note, "decision": typed_decision, "token": typed_token, "audit": typed_audit,
}  # fmt: skip


@pytest.mark.parametrize("way", sorted(WAYS))
@sampled(fast=5, slow=20, full=1500, shrink=False)
@given(texts=st.lists(TEXTS, min_size=6, max_size=6))
@example(texts=["[a]", "_", "---\x85{{ 7*7 }}", "", "", ""])  # a key that is a list; a line's end that is a space
def test_what_is_typed_is_that_text_or_refused(
    made: Project, monkeypatch: pytest.MonkeyPatch, way: str, texts: list[str]
) -> None:
    for table, limit in LIMITS.items():
        monkeypatch.setitem(LIMITS, table, replace(limit, rows=10**9, a_minute=10**9, each=10**9))
    WAYS[way](made, texts)


@sampled(fast=50, slow=300, full=5000)
@given(values=st.lists(TEXTS, min_size=1, max_size=4), others=st.booleans())
def test_a_segment_is_named_whatever_it_is_called(values: list[str], others: bool) -> None:
    assert segments(among("name", values, others=others)) == Segments("name", tuple(values), others)


@pytest.mark.parametrize("facts", [False, True])
def test_a_filter_of_the_address_is_the_segment_of_that_name(made: Project, facts: bool) -> None:
    context = made.context(NOW)
    kept = {text: n % 9 + 1 for n, text in enumerate(NASTY)}
    for text in (*NASTY, "nobody' OR '1'='1", "x"):
        query = Query("k", grain="total", where=(Filter("name", (text,)),))
        try:
            found = answer(query, context.catalogue, context.reader, from_facts=facts).frame["value"]
        except UnknownName:
            assert text not in kept
        else:
            assert [*found] == [kept[text]], text
