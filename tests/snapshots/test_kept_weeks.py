"""What is kept of a week beside its generation changes nothing of a snapshot, and answers the same question only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jobs.project.project import Project, open_project
from jobs.snapshots.kept import keep, week_inputs
from jobs.snapshots.take import take_by_hand
from tests.conftest import NOW, copied_demo


def taken(project: Project) -> dict[str, Any]:
    found = take_by_hand(project, "weekly", "2026-W47", by="ann", now=NOW).as_dict()
    return {key: value for key, value in found.items() if key != "revision"}


@pytest.mark.slow
def test_a_week_reads_the_same_with_what_is_kept_and_without(demo_folder: Path, tmp_path: Path) -> None:
    folder = copied_demo(demo_folder, tmp_path / "demo")
    project = open_project(folder)
    path = project.warehouse.companion(project.reader().generation.id, "weeks")
    first = taken(project)
    kept = json.loads(path.read_text())
    assert {type(value) for value in kept.values()} >= {dict, str} and len(kept) >= 8, "places and how months run"
    path.write_text(
        json.dumps({key: {**value, "words": "Kept."} for key, value in kept.items() if type(value) is dict})
    )
    assert "Kept." in json.dumps(taken(open_project(folder))), "it is believed"
    path.write_text("{")
    assert taken(open_project(folder)) == first


def test_another_definition_is_another_question(demo_folder: Path, tmp_path: Path) -> None:
    folder = copied_demo(demo_folder, tmp_path / "demo")
    taken(open_project(folder))
    kpi = folder / "kpis" / "new_mrr.yml"
    kpi.write_text(f"{kpi.read_text()}\nsynonyms: [money]\n")
    project = open_project(folder)
    inputs = week_inputs(project, project.context(NOW))
    found = inputs.catalogue.kpis["new_mrr"]
    assert inputs.so_far(found, ()) and len(inputs.found) == 1
    keep(project, inputs)
    again = week_inputs(project, project.context(NOW))
    assert again.so_far(found, ()) == inputs.so_far(found, ()) and not again.found
