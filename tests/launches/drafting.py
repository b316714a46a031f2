"""A shop whose launches are drafted, what its vendors tell, and its files read by nothing of ours."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.conftest import Builder
from tests.fakes.github import REPO

DAY = timedelta(days=1)
SINCE = date(2026, 9, 1)
FIRST = datetime(2026, 8, 20, 9)  # of what happens in these worlds
KPIS = {
    "buyers": "area: Checkout\ndataset: t\nagg: count\nthresholds: {critical: '< 1'}",
    "carts": "area: checkout\ndataset: t\nagg: count",
    "hidden": "area: Checkout\ndataset: t\nagg: count\noverview: false",
    "crashes": "area: Quality\ndirection: down_is_good\ndataset: t\nagg: count\nthresholds: {critical: '> 900'}",
    "paced": "area: Quality\ndataset: t\nagg: count\nthresholds: {critical: '< -10% of target'}\n"
    "targets: [{name: goal, value: 9}]",
}
PROPOSED = {"success": [{"kpi": "buyers"}, {"kpi": "carts"}], "guardrails": [{"kpi": "crashes"}]}


def files(project: Builder) -> dict[str, dict[str, Any]]:
    """Name → what stands in the file, read by nothing of ours."""
    yaml = YAML(typ="safe", pure=True)
    return {p.stem: yaml.load(p.read_text()) for p in (project.folder / "launches").glob("*.yml")}


def by_origin(project: Builder) -> dict[str, dict[str, Any]]:
    found = [item for item in files(project).values() if "origin" in item]
    assert len(found) == len({item["origin"]["id"] for item in found}), "one file for each"
    return {item["origin"]["id"]: item for item in found}


def path_of(project: Builder, origin: str) -> Path:
    return project.folder / "launches" / f"{by_origin(project)[origin]['name']}.yml"


def records(project: Builder, rows: list[dict[str, Any]], rule: str, *, more: str = "", table: str = "told") -> None:
    """A source of rows, whatever brought them."""
    (project.folder / "files" / f"{table}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    if table not in (project.folder / "sources.yml").read_text():
        project.source(
            f"- name: {table}\n  type: files\n  table: {table}\n  path: files/{table}.jsonl\n  launches: {rule}\n{more}"
        )


def release(number: int, **more: Any) -> dict[str, Any]:
    at = FIRST + DAY * number
    return {
        "id": 1000 + number,
        "repo": REPO,
        "tag": f"v1.{number}.0",
        "name": f"Release {number}",
        "published_at": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        "draft": False,
        "prerelease": False,
        "url": f"https://github.com/{REPO}/releases/v1.{number}.0",
        **more,
    }


def change(number: int, at: datetime, **more: Any) -> dict[str, Any]:
    moment = f"{at:%Y-%m-%dT%H:%M:%S}"
    plain = {"id": f"e{number:03d}", "flag": "carts", "environment": "production", "changed_at": moment}
    return {**plain, "is_on": True, "share": 100.0, "url": "https://flags.example/carts", **more}


RULE = f"{{area: Checkout, since: {SINCE}, owner: ana@example.com}}"
