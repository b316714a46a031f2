"""Settings that have no effect are errors: nothing that restricts access or chooses an engine is there in vain."""

from __future__ import annotations

import pytest

from connectors.errors import SettingsError
from connectors.warehouse.open import open_warehouse
from tests.conftest import Builder, run_cli

ROLES = "roles:\n  - {name: sales, members: [everybody], row_filters: {country: [DE]}}\n"
ENGINE = "timezone: UTC\nwarehouse: mysql://ana:secret@db.example.com/bi\n"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (ROLES, "`roles` keeps nobody out without a sign-in"),
        (ENGINE, "no engine for 'mysql'"),
        ("warehouse: clickhouse\n", "no engine"),
        ("warehouse: DuckDB\n", "warehouse: duckdb"),
    ],
)
def test_what_has_no_effect_is_an_error_and_nothing_starts(project: Builder, settings: str, says: str) -> None:
    project.settings(settings)
    line = settings[: settings.index("roles" if "roles" in settings else "warehouse")].count("\n") + 1
    for verb in (["validate"], ["sync"], ["run", "--port", "1"]):
        done = run_cli("--project", str(project.folder), *verb)
        said = done.stdout + done.stderr
        assert done.returncode == 1, (verb, said)
        assert f"settings.yml:{line}: error" in said and says in said
        assert "secret" not in said
    assert not (project.folder / "data" / "live").exists()


@pytest.mark.parametrize("settings", ["roles: []\n", "warehouse: duckdb\n", 'warehouse: ""\n'])
def test_what_is_there_already_may_be_named(project: Builder, settings: str) -> None:
    project.settings(settings)
    assert run_cli("--project", str(project.folder), "validate").returncode == 0
    assert project.open().warehouse.live() is None


def test_an_engine_is_opened_by_a_project_only(project: Builder) -> None:
    with pytest.raises(SettingsError, match="a project whose rows are on this machine") as told:
        open_warehouse("postgresql://ana:secret@db/x", project.folder, memory_limit="1GB", threads=1)
    assert "secret" not in str(told.value)
