"""A new source is one new file: listed, validated, documented by its descriptions, pulled."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connectors import sources
from connectors.sources.contract import source_types
from tests.conftest import ROOT, Builder, run_cli

TOY = '''"""A source that counts."""

from collections.abc import Iterator

import pyarrow as pa
from pydantic import Field

from connectors.sources.contract import Batch, Cursor, Source, SourceOptions


class ToyOptions(SourceOptions):
    """Options of `type: toy`."""

    most: int = Field(3, description="How far it counts.")


class Toy(Source):
    """Numbers."""

    Options = ToyOptions
    example = "- {name: numbers, type: toy, table: numbers, most: 5}"

    def pull(self, cursor: Cursor) -> Iterator[Batch]:
        """Yield what was not counted yet."""
        numbers = list(range(int(cursor.get("last", "0")) + 1, self.options.most + 1))
        yield Batch(self.options.table, pa.table({"n": numbers}), {"last": str(self.options.most)})
'''


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The folder of sources with one file more; the file lies beside it, so that other workers do not see it."""
    folder = tmp_path_factory.mktemp("more")
    (folder / "toy_of_a_test.py").write_text(TOY)
    monkeypatch.setattr(sources, "__path__", [*sources.__path__, str(folder)])
    yield "toy_of_a_test"


def test_one_file_is_enough(toy: str, project: Builder) -> None:
    assert toy in source_types() and (ROOT / "connectors" / "sources" / f"{toy}.py").exists() is False
    said = run_cli("sources")
    assert said.returncode == 0 and "most" in said.stdout and "How far it counts." in said.stdout
    assert "type: toy, table: numbers" in said.stdout
    project.source(f"- {{name: numbers, type: {toy}, table: numbers, most: 5}}")
    result = project.sync()
    assert not result.failed and result.sources[0].rows == 5
    assert project.open().reader().frame("SELECT sum(n) AS n FROM numbers")["n"][0] == 15
    project.source(f"- {{name: others, type: {toy}, table: others, mots: 5}}")
    problems = project.open().sources.read()[1]
    assert [p.code for p in problems] == ["unknown_key"] and "most" in f"{problems[0].message} {problems[0].hint}"
