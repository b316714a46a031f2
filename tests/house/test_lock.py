"""The locks hold every version, direct or not, each with its hashes, and name no place to fetch them from."""

from __future__ import annotations

import re

import pytest

from tests.conftest import ROOT

LOCKS = ("requirements.lock", "requirements-runtime.lock")
PIN = re.compile(r"^(?P<name>[a-z0-9.-]+)(?:\[[a-z0-9,-]+\])?==(?P<version>[^\s;\\]+)")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}(?=[\s\\]|$)")
RUNTIME, TESTS = (ROOT / "requirements.txt").read_text().split("# Tests and checks\n")


def pins(text: str) -> dict[str, str]:
    found = [match for line in text.splitlines() if (match := PIN.match(line.lower()))]
    return {match["name"].replace(".", "-"): match["version"] for match in found}


def entries(lock: str) -> list[str]:
    """One string per package: its first line and the lines that go on with it, comments left out."""
    lines = (ROOT / lock).read_text().replace("\\\n", "").splitlines()
    return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


def unhashed(lines: list[str]) -> list[str]:
    return [line for line in lines if not (PIN.match(line.lower()) and HASH.search(line))]


def test_every_direct_pin_is_locked_at_the_same_version() -> None:
    direct = pins(RUNTIME + TESTS)
    stated = [line for line in (RUNTIME + TESTS).splitlines() if line and not line.startswith("#")]
    assert len(direct) == len(stated), "each line of requirements.txt pins one version with =="
    locked = pins("\n".join(entries("requirements.lock")))
    assert {name: locked.get(name) for name in direct} == direct, "run `make lock`"


def test_the_runtime_lock_is_the_part_that_serves() -> None:
    serves = pins("\n".join(entries("requirements-runtime.lock")))
    locked = pins("\n".join(entries("requirements.lock")))
    assert {name: serves.get(name) for name in pins(RUNTIME)} == pins(RUNTIME), "run `make lock`"
    assert serves.items() <= locked.items(), "both locks hold the same versions"
    assert not serves.keys() & {"pytest", "mypy", "ruff", "playwright", "pre-commit"}, "tests' tools are not served"


@pytest.mark.parametrize("lock", LOCKS)
def test_every_line_has_hashes_and_no_place(lock: str) -> None:
    assert unhashed(entries(lock)) == []
    assert not re.search(r"^\s*-|://|@ |file:", re.sub(HASH, "", "\n".join(entries(lock))), re.MULTILINE)


def test_the_rule_can_fail() -> None:
    assert unhashed(["typer==0.29.2     # via"]) == ["typer==0.29.2     # via"]
    assert unhashed(["--index-url https://example.com"]) == ["--index-url https://example.com"]
    assert unhashed([f"typer==0.29.2     --hash=sha256:{'0' * 63}"])


def test_setup_installs_from_the_lock() -> None:
    make = (ROOT / "Makefile").read_text()
    assert "$(STAMP): requirements.lock Makefile\n" in make
    installs = [line.strip() for line in make.splitlines() if "pip install" in line and "$(BIN)" in line]
    pip = "$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check"
    assert installs == [
        f"{pip} --require-hashes -r requirements.lock",
        f"{pip} -r requirements-clickhouse.txt -r requirements-spark.txt",
        f"{pip} --no-deps --upgrade --target .venv/spark -r requirements-spark-server.txt",
    ]
    engines = {line.partition(":")[0] for line in make.splitlines() if ": $(ENGINES)" in line}
    assert engines == {"slow", "prove"}, "engines are installed by what tests them only"
