"""Which heavy libraries a verb may load: one that it does not use costs every run of it a quarter of a second."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from typer.main import get_group

from cli.verbs import MODULES
from tests.conftest import NOW, ROOT, copied_demo

HEAVY = ("duckdb", "pandas", "scipy", "sqlalchemy", "sqlglot", "plotly", "pyarrow", "requests", "streamlit", "typst")
ANSWERS = ["duckdb", "pandas", "sqlglot", "pyarrow"]
# Each in one process, in this order: each verb may load its own, and what those before it have.
QUIET = ((["sync"], ["duckdb", "sqlalchemy", "sqlglot"]),)  # with nothing new, and nothing that the clock brings
VERBS: tuple[tuple[list[str], list[str]], ...] = (
    (["--help"], []),
    (["query", "sign_ups"], ANSWERS),
    (["list"], ANSWERS),
    (["validate"], ANSWERS),
    (["status"], [*ANSWERS, "sqlalchemy"]),  # whether the state store can be read is part of it
    (["alerts", "status"], [*ANSWERS, "sqlalchemy"]),
    (["snapshot", "list"], [*ANSWERS, "sqlalchemy"]),
    # The readings are kept beside the generation: nothing is computed that needs scipy.
    (["launch", "list"], [*ANSWERS, "sqlalchemy"]),
    (["snapshot", "take"], [*ANSWERS, "sqlalchemy"]),
    (["check"], [*ANSWERS, "sqlalchemy"]),
    (["sync", "--dry-run"], [*ANSWERS, "sqlalchemy"]),
)
RUN = """
import sys
from cli.app import main
for verb in {verbs!r}:
    sys.argv = ["kpi", *verb]
    try:
        main()
    except SystemExit as ended:
        print("LOADED", verb, ended.code, [m for m in {heavy!r} if m in sys.modules])
"""


@pytest.mark.parametrize("verbs", [VERBS, QUIET])
def test_a_verb_loads_what_it_uses(
    verbs: tuple[tuple[list[str], list[str]], ...], demo_folder: Path, tmp_path: Path
) -> None:
    folder = copied_demo(demo_folder, tmp_path / "demo")
    code = RUN.format(verbs=[verb for verb, _ in verbs], heavy=HEAVY)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env={"KPI_PROJECT": str(folder), "KPI_NOW": NOW.isoformat(), "PATH": ""},
    )
    told = [line.removeprefix("LOADED ") for line in done.stdout.splitlines() if line.startswith("LOADED ")]
    may = [f"{verb} 0 {[m for m in HEAVY if m in loaded]}" for verb, loaded in verbs]
    assert told == may, done.stderr
    assert "leaked" not in done.stderr


def test_every_verb_is_found_in_its_module() -> None:
    for module, verbs in MODULES.items():
        app = import_module(f"cli.{module}").app
        assert verbs in {(module,), tuple(get_group(app).commands)}, module
    modules = {path.stem for path in (ROOT / "cli").glob("*.py") if "typer.Typer(" in path.read_text()}
    assert modules == {*MODULES, "app", "verbs"}


def test_one_verb_loads_no_other() -> None:
    code = "import sys; sys.argv = ['kpi', 'query', '--help']; from cli.app import main; main()"
    told = (
        f"import atexit, sys; atexit.register(lambda: print([m for m in sys.modules if m.startswith('cli.')])); {code}"
    )
    done = subprocess.run([sys.executable, "-c", told], cwd=ROOT, capture_output=True, text=True, check=True)
    assert (
        done.stdout.splitlines()[-1]
        == "['cli.ending', 'cli.options', 'cli.output', 'cli.verbs', 'cli.app', 'cli.query']"
    )
