"""Seeded mutations of definition files: each is an error or a definition, at once; the others are as they were."""

from __future__ import annotations

import random
import shutil
import time
from pathlib import Path

import pandas as pd
import pytest

from connectors.errors import KpiError
from jobs.project.project import open_project
from metrics.catalog import loading
from metrics.catalog.catalogue import Catalogue
from tests.conftest import Builder, run_cli
from tests.operations.conftest import next_case
from tests.operations.test_fuzz import mutated
from tests.sampling import SEED, cases

PARTS = ("kpis", "datasets", "launches", "snapshots")
CASES = cases(fast=30, slow=120, full=2_000)
SYNCS = cases(fast=2, slow=6, full=200)
LONGEST = 10.0  # seconds for one reading of all files, on a busy machine
ODD = (
    *(
        "~",
        ".nan",
        "-.inf",
        "1e999",
        "9" * 400,
        "0x1F",
        "2026-02-30",
        "12:60:61",
        "yes",
        "[]",
        "{}",
        "''",
        "!!binary x",
    ),
    *("!!python/object/apply:os.system ['true']", "&a [*a]", "*unknown", "<<: *a", "? a\n: b", "|\n  x", ">-", "- - -"),
    *(
        "[" * 500,
        "{a: " * 300,
        "(" * 300,
        "x" * 70_000,
        "\t",
        "\u0000",
        "\u202e",
        "é" * 30,
        "💥",
        "%YAML 9.9",
        "---\n---",
    ),
    *(
        "SELECT * FROM t",
        "1; DROP TABLE t",
        "now()",
        "${HOME}",
        "{{ 7 * 7 }}",
        "<script>",
        "../../etc/passwd",
        "a: b: c",
    ),
)


def respelled(text: str, draw: random.Random) -> bytes:
    """Lines lost, doubled, moved, indented otherwise; a value in the place of another; or bytes, anyhow."""
    lines = text.splitlines(keepends=True) or ["\n"]
    at, kind = draw.randrange(len(lines)), draw.randrange(8)
    if kind == 0:
        lines[at] = ""
    elif kind == 1:
        lines.insert(draw.randrange(len(lines)), lines[at])
    elif kind == 2:
        lines[at] = " " * draw.randrange(1, 5) + lines[at]
    elif kind == 3:
        lines[at] = lines[at].lstrip()
    elif kind in (4, 5):
        lines[at] = f"{lines[at].partition(':')[0]}: {draw.choice(ODD)}\n"
    elif kind == 6:
        lines.insert(at, f"{draw.choice(('name', 'type', 'dataset', 'filter', 'grain', 'x'))}: {draw.choice(ODD)}\n")
    else:
        return mutated(text.encode(), draw)
    return "".join(lines).encode()


def read(folder: Path, like: Catalogue, demo: Path) -> Catalogue:
    reader = open_project(demo).reader()
    how = {"timezone": like.timezone, "tables": reader.tables(), "describe": reader.columns}
    return loading.load(folder, **how)  # type: ignore[arg-type]


@pytest.mark.sampled(CASES)
@pytest.mark.parametrize("part", range(cases(fast=2, slow=4, full=16)))
def test_whatever_a_file_says_the_others_are_read(demo_folder: Path, tmp_path: Path, part: int) -> None:
    for name in PARTS:
        shutil.copytree(demo_folder / name, tmp_path / name)
    project = open_project(demo_folder)
    before = project.catalogue(project.reader())
    known = {path: path.read_bytes() for name in PARTS for path in sorted((tmp_path / name).glob("*.yml"))}
    assert len(known) > 20
    for case in range(part, CASES, cases(fast=2, slow=4, full=16)):
        next_case()
        draw = random.Random(f"{SEED} {case}")
        path = draw.choice(list(known))
        path.write_bytes(respelled(known[path].decode(), draw))
        started = time.monotonic()
        try:
            found = read(tmp_path, before, demo_folder)
        except Exception as error:
            raise AssertionError(f"case {case}: {path.name}: {path.read_bytes()[:2000]!r}") from error
        assert time.monotonic() - started < LONGEST, f"case {case}: {path.name}"
        _only_its_own(path, before, found, case)
        path.write_bytes(known[path])
    assert set(read(tmp_path, before, demo_folder).kpis) == set(before.kpis)


def _only_its_own(path: Path, before: Catalogue, found: Catalogue, case: int) -> None:
    """A KPI that is gone is that of the file, or made of it; each error has a file, and says what."""
    if path.parent.name == "kpis":
        lost = {n for n in before.kpis if n not in found.kpis and path.stem not in (n, *_made_of(before, n))}
        assert not lost, f"case {case}: {path.name} took {lost}"
    if path.parent.name in ("launches", "snapshots"):
        assert set(found.kpis) == set(before.kpis), f"case {case}: {path.name}"
    for problem in found.problems:
        assert problem.file and problem.message and "Traceback" not in str(problem), f"case {case}: {problem}"


def _made_of(catalogue: Catalogue, name: str) -> set[str]:
    direct = catalogue.references(catalogue.kpis[name])
    return {*direct, *(other for each in direct for other in _made_of(catalogue, each))}


SMALL = {
    "kpis/shipped.yml": "name: shipped\ndataset: t\nagg: sum\nexpr: amount\nfilter: a = 'x'\ntargets: [{value: 5}]\n",
    "kpis/part.yml": "name: part\ntype: ratio\nnumerator: {dataset: t, agg: count, filter: a = 'x'}\n"
    "denominator: {dataset: t, agg: count}\nformat: percent\ndimensions: [a]\n",
    "kpis/own.yml": "name: own\ntype: sql\ndataset: t\nsql: |\n  SELECT date_trunc('day', at) AS period, "
    "count(*) AS value\n  FROM t GROUP BY 1\n",
    "kpis/smooth.yml": "name: smooth\ndataset: t\nagg: count\ntransforms:\n- rolling: {periods: 3, agg: mean}\n",
    "datasets/other.yml": "name: other\ntime_dimension: at\nentity: id\nsource: SELECT * FROM t WHERE amount > 0\n"
    "dimensions:\n  kind: a\n",
}


@pytest.mark.sampled(SYNCS)
def test_a_sync_publishes_the_others(project: Builder) -> None:
    at = pd.date_range("2026-11-01", periods=24, freq="12h")
    project.rows("t", pd.DataFrame({"at": at, "id": range(24), "amount": 1.5, "a": "x"}), entity="id")
    project.kpi("good", "dataset: t\nagg: sum\nexpr: amount")
    project.kpi("on_other", "dataset: other\nagg: count")
    for name, text in SMALL.items():
        (project.folder / name).write_text(text)
    project.sync()
    assert len(project.open().catalogue(project.open().reader()).kpis) == 6
    for case in range(SYNCS):
        next_case()
        draw = random.Random(f"{SEED} sync {case}")
        name = draw.choice(list(SMALL))
        (project.folder / name).write_bytes(respelled(SMALL[name], draw))
        told = f"case {case}: {(project.folder / name).read_bytes()[:500]!r}"
        done = run_cli("sync", "--project", str(project.folder))
        assert done.returncode in (0, 1) and "Traceback" not in done.stderr and "unexpected" not in done.stderr, told
        for kpi in ("good", *(Path(other).stem for other in SMALL if other.startswith("kpis/") and other != name)):
            try:
                assert project.values(kpi), told
            except KpiError as error:
                raise AssertionError(f"{told}: {kpi}") from error
        (project.folder / name).write_text(SMALL[name])
