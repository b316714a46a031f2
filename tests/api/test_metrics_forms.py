"""/metrics whatever the project calls its things: promtool takes the text, the library's own parser the other form."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from importlib import import_module

import httpx
import pandas as pd
import pytest

from jobs.access.tokens import create
from jobs.project.clock import utc_now
from tests.conftest import REQUIRED, Builder, Server, known

ODD = (
    '"', "\\", "\\n", "a\nb", "a\\", 'x="1"} 5\nevil{y="', "# TYPE evil counter", "# EOF", "{}", "{a='b'}", "%",
    "€ / 10³", "漢字 مرحبا", "😀", "a\tb", " a", "<b>", "NaN", "+Inf", "0x1p3", "'", ",", "a" * 200, "=cmd()",
)  # fmt: skip
LETTERS = "\"\\\n{}#=,' a1é漢😀"
ASKED = ("kpis", "kpis/k0", "kpis/nothing", "values", "alerts", "nothing%22%0A")


def texts() -> list[str]:
    chance = random.Random(20261123)
    made = ["".join(chance.choices(LETTERS, k=chance.randint(1, 9))) for _ in range(30)]
    return [*ODD, *(text for text in made if text.strip())]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    """A project in which every text that becomes a label is an odd one; an address that asks with its token."""
    project = Builder(tmp_path_factory.mktemp("metrics") / "project")
    at = pd.date_range("2026-11-01", periods=20, freq="D")
    project.rows("t", pd.DataFrame({"at": at, "v": [0.1, -1e300, 1e-300, 0.0] * 5}))
    for number, text in enumerate(texts()):
        said = json.dumps(text, ensure_ascii=False)
        project.kpi(f"k{number}", f"dataset: t\nagg: sum\nexpr: v\ngrain: day\narea: {said}")
    project.kpi("none", "dataset: t\nagg: sum\nexpr: v\nfilter: v > 1e301")
    project.kpi("wrong", "dataset: gone\nagg: count")
    project.sync()
    opened, day = project.open(), timedelta(days=1)
    secret = create(opened.state, "a", ["metrics", "read"], day, by="t", now=utc_now()).secret
    server = Server(project.folder)
    for path in ASKED:
        asked(server, secret, f"/api/v1/{path}")
    yield server, secret
    server.stop()


def asked(server: Server, secret: str, path: str, accept: str = "text/plain") -> httpx.Response:
    return httpx.get(server.url + path, headers={"Authorization": f"Bearer {secret}", "Accept": accept}, timeout=30)


def test_promtool_finds_nothing_wrong_with_the_text(served: tuple[Server, str]) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        words = "no promtool found: Debian's package prometheus has it"
        (pytest.fail if REQUIRED else pytest.skip)(words)
    text = asked(*served, "/metrics").text
    done = subprocess.run(
        [known(promtool), "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("accept", "parser"),
    [("text/plain", "parser"), ("application/openmetrics-text; version=1.0.0", "openmetrics.parser")],
)
def test_each_form_is_read_back_with_every_text_as_it_is(served: tuple[Server, str], accept: str, parser: str) -> None:
    answer = asked(*served, "/metrics", accept)
    assert answer.status_code == 200 and answer.headers["content-type"].startswith(accept.partition(";")[0])
    families = list(import_module(f"prometheus_client.{parser}").text_string_to_metric_families(answer.text))
    areas = {
        s.labels["kpi"]: s.labels["area"] for f in families for s in f.samples if f.name == "bellwether_kpi_status"
    }
    assert {name: areas[name] for name in areas if name.startswith("k")} == {
        f"k{number}": text for number, text in enumerate(texts())
    }
    assert {family.name for family in families} >= {"bellwether_api_request_seconds", "bellwether_messages"}
    assert not any("evil" in family.name for family in families)
    routes = {s.labels["route"] for f in families for s in f.samples if "route" in s.labels}
    assert routes <= {"/kpis", "/kpis/{name}", "/values", "/alerts"}, "an address that somebody made up is no series"
