"""Keys that repeat are told as if all rows were counted, although those that a sync changed say it mostly."""

from __future__ import annotations

import random

import pandas as pd

from jobs.authoring.validate import validate
from jobs.sync import _odd_before
from metrics.quality.repeated_keys import CODE, unrepeated
from tests.conftest import NOW, Builder
from tests.sampling import SEED, cases

AT = pd.Timestamp("2026-11-01")


def add(project: Builder, number: int, ids: list[tuple[int, str]]) -> None:
    """A file with these rows; ids: of two columns."""
    frame = pd.DataFrame({"at": AT + pd.Timedelta(days=number), "a": [a for a, _ in ids], "b": [b for _, b in ids]})
    frame.to_parquet(project.folder / "files" / f"{number}.parquet", index=False)


def shop(project: Builder) -> None:
    project.source("- {name: t, type: files, table: t, path: files/*.parquet, load: append}")
    project.write("datasets", "t", "name: t\nsource: t\ntime_dimension: at\nprimary_key: [a, b]\n")
    project.kpi("n", "dataset: t\nagg: count")


def passed_over(project: Builder) -> set[str]:
    opened = project.open()
    with opened.warehouse.staging(NOW) as staging:
        staging.settle()
        return set(unrepeated(opened.catalogue(staging), staging, _odd_before(opened)))


def test_what_is_told_is_what_counting_all_rows_tells(project: Builder) -> None:
    shop(project)
    chance, used = random.Random(SEED), [(n, "x") for n in range(50)]
    add(project, 0, used)
    project.sync()
    for number in range(1, cases(fast=3, slow=12, full=40)):
        fresh = [(1000 * number + n, chance.choice("xy")) for n in range(20)]
        again = chance.sample(used, chance.choice([0, 0, 2]))
        before = passed_over(project)
        add(project, number, [*fresh, *again])
        told = [p.message for p in project.sync().problems if p.code == CODE]
        assert told == [p.message for p in validate(project.open(), [], now=NOW) if p.code == CODE]
        assert passed_over(project) == (set() if told else {"t"}) and (before or told)
        used += [*fresh, *again]


def test_a_key_of_an_old_row_is_found_and_a_new_definition_is_looked_at(project: Builder) -> None:
    shop(project)
    add(project, 0, [(1, "x"), (2, "x")])
    assert project.sync().problems == () and passed_over(project) == {"t"}
    path = project.folder / "datasets" / "t.yml"
    text = path.read_text()
    path.write_text(text.replace("[a, b]", "b"))
    assert passed_over(project) == set()
    assert [p.code for p in project.sync().problems] == [CODE] and passed_over(project) == set()
    path.write_text(text)
    assert project.sync().problems == ()
    add(project, 1, [(2, "x"), (3, "x")])
    assert [p.message for p in project.sync().problems] == ["the primary key repeats: 1 of 4 rows has one again"]
    (project.open().data / "last_sync.json").unlink()
    assert passed_over(project) == set(), "nobody knows what was odd"
