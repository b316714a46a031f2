"""What checks a change runs the same tools everywhere: the workflow calls .ci/run, hooks call those of .venv."""

from __future__ import annotations

import re
import shlex
import tomllib
from typing import Any

from ruamel.yaml import YAML

from tests.conftest import ROOT


def read(file: str) -> Any:
    return YAML(typ="safe").load(ROOT / file)


def test_the_workflow_runs_what_must_pass() -> None:
    workflow = read(".github/workflows/ci.yml")
    assert workflow["on"].keys() == {"push", "pull_request"}
    (job,) = workflow["jobs"].values()
    assert [step["run"] for step in job["steps"] if "run" in step] == ["bash .ci/run"]
    assert re.fullmatch(r"python:3\.11\.\d+-[a-z]+", job["container"]), "Debian, root and Python 3.11, as .ci/run wants"
    assert workflow["concurrency"]["cancel-in-progress"] is True


def test_the_workflow_caches_by_the_lock() -> None:
    (job,) = read(".github/workflows/ci.yml")["jobs"].values()
    (cache,) = [step["with"] for step in job["steps"] if step.get("uses", "").startswith("actions/cache@")]
    assert cache["path"] == job["env"]["PIP_CACHE_DIR"]
    (file,) = re.findall(r"hashFiles\('([^']+)'\)", cache["key"])
    assert (ROOT / file).exists()


def test_hooks_fetch_nothing_and_call_what_make_calls() -> None:
    (repo,) = read(".pre-commit-config.yaml")["repos"]
    assert repo["repo"] == "local" and all(hook["language"] == "system" for hook in repo["hooks"])
    make = (ROOT / "Makefile").read_text().replace("$(BIN)", ".venv/bin")
    for hook in repo["hooks"]:
        command = " ".join(shlex.split(hook["entry"])).removesuffix(" --force-exclude")
        assert f"\t{command}" in make, command


def test_make_test_prints_the_coverage_of_what_numbers_are_made_by() -> None:
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["slipcover"]
    assert told["source"] == ["connectors", "metrics", "jobs"] and all(
        (ROOT / part).is_dir() for part in told["source"]
    )
    assert "\nunit: $(STAMP)\n\t$(BIN)/python -m slipcover -m pytest " in (ROOT / "Makefile").read_text()
