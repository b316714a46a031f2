"""What is wrong with `exposure:` and `margin:` of a launch is told with its line, nearest names, what is allowed."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import pytest

from metrics.catalog.models.launch import Launch
from tests.conftest import Builder

NOW = datetime(2026, 11, 9, 3, tzinfo=UTC)


def _product(project: Builder) -> None:
    shown = pd.DataFrame([{"who": "a", "at": pd.Timestamp("2026-11-01"), "arm": "control"}])
    project.rows("shown", shown, entity="who")
    project.rows("views", shown)
    project.kpi("acted", "dataset: views\nagg: count")
    project.sync(NOW)


@pytest.mark.breadth(3)
@pytest.mark.parametrize(
    ("text", "line", "told", "hint"),
    [
        ("exposure: {dataset: show, variant: arm}", 4, "unknown dataset 'show'", "Did you mean 'shown'?"),
        (
            "exposure:\n  dataset: shown\n  variant: arms",
            6,
            "dataset shown has no column 'arms'",
            "Did you mean 'arm'?",
        ),
        ("exposure: {dataset: shown, variant: arm, at: att}", 4, "has no column 'att'", "Did you mean 'at'?"),
        ("exposure: {dataset: shown, variant: arm, entity: whom}", 4, "has no column 'whom'", "Did you mean 'who'?"),
        ("exposure: {dataset: shown, variant: arm, at: arm}", 4, "'arm' is VARCHAR, so it is no time", "types"),
        ("exposure: {dataset: views, variant: arm}", 4, "dataset 'views' has no entity", "entity"),
        ("exposure: {dataset: shown}", 4, "variant", ""),
        ("exposure: {dataset: shown, variant: arm, split: {new: 1, old: 1}}", 4, "no share of the control", "old"),
        ("exposure: {dataset: shown, variant: arm, split: {control: 0, new: 1}}", 4, "a share above 0", ""),
        ("guardrails: [{kpi: acted, margin: a bit}]", 4, "'a bit' is no margin", "1%"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(project: Builder, text: str, line: int, told: str, hint: str) -> None:
    _product(project)
    project.write("launches", "wizard", f"name: wizard\non: 2026-11-02\nsuccess: [{{kpi: acted}}]\n{text}\n")
    problems = [p for p in project.open().catalogue().problems if p.level == "error"]
    assert [(p.file.rsplit("/", 1)[-1], p.line) for p in problems] == [("wizard.yml", line)], problems
    assert told in problems[0].message + problems[0].hint and hint in problems[0].message + problems[0].hint


def test_what_is_right_is_read_with_its_defaults(project: Builder) -> None:
    _product(project)
    body = "exposure: {dataset: shown, variant: arm}\nguardrails: [{kpi: acted, margin: 1%}]"
    project.write("launches", "wizard", f"name: wizard\non: 2026-11-02\n{body}\n")
    catalogue = project.open().catalogue()
    assert not catalogue.problems
    launch = catalogue.launch("wizard")
    assert launch.exposure is not None
    assert (launch.exposure.control, launch.exposure.at, launch.exposure.split) == ("control", "", {})
    assert launch.guardrails[0].margin == "1%"
    assert Launch.model_validate_json(launch.model_dump_json()) == launch, "as the state store keeps it"
