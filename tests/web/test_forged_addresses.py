"""What a role does not see, asked for by address and by click on a real server: nothing of it is ever sent."""

from __future__ import annotations

import base64
import itertools
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import Connection
from streamlit.proto.WidgetStates_pb2 import WidgetState

from connectors.state.tables import metadata
from jobs.project.project import open_project
from tests.access.test_role_ways_out import FOREIGN, made
from tests.conftest import Builder, Server
from tests.jobs.conftest import serving
from tests.sampling import SEED, cases
from tests.web.named_proxy import OWN
from tests.web.tabs import Tab, clicked

pytestmark = pytest.mark.breadth(3, whole=True)

OTHERS_WORDS = "Zimtstern"  # what somebody in France said
RANDOM = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32,}")  # ids and digests, whatever is in them
ENCODED = re.compile(r'dtype[\\"]+:[\\"]+([a-z]\d)[\\"]+,[\\"]+bdata[\\"]+:[\\"]+([\w+/=]+)')
ASKED = {
    "kpi": ("orders", "margin", "visits", "buyers", "voice", "Margin", "orders' OR 1=1", "all", ""),
    "country": ("FR", "DE", "(none)", "FR,DE", "*", "%", "' OR '1'='1"),
    "f_country": ("FR",), "where": ("country=FR",), "filter": ("country=FR",),
    "segment": ("country:FR", "country=FR", "FR", "all"),
    "by": ("country", "user_id", "qty", "id"), "grain": ("day", "week", "month", "hour", "total"),
    "range": ("all", "13w", "1y", "2w"), "compare": ("previous_period", "same_period_last_year", "all_of_it", "launch"),
    "who": ("promoters", "detractors", "users", "all"), "said_by": ("country:FR",), "search": ("Margin", OTHERS_WORDS),
    "role": ("boss", "admin", ""), "group": ("boss",), "as": ("boss@example.com",), "editors": ("group:de",),
    "X-Forwarded-Groups": ("boss",), "claim": ("boss",), "audience": ("",), "whole": ("1",),
    "launch": ("shop", "other"), "chart": ("margin", "orders"), "split": ("country",),
    "snapshot": ("all_of_it", "german"), "week": ("2026-W46", "2026-W45"), "revision": ("1", "0", "-1"),
    "rule": ("much", "each", "try"), "limit": ("70000",), "area": ("all", ""), "as_of": ("1",), "generation": ("1",),
}  # fmt: skip
PAGES = ("", "kpis", "kpi", "launches", "launch", "alerts", "snapshots", "account", "data", "audit", "overview")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The project of the ways out, with customers' words, behind a proxy that signs people in."""
    with serving() as web:
        project = Builder(tmp_path_factory.mktemp("forged") / "project")
        made(project, web)
        at = pd.date_range("2026-11-01", "2026-11-22", freq="D")
        said = {"DE": "Lebkuchen is good", "FR": f"{OTHERS_WORDS} is good"}
        rows = [{"at": day, "user_id": 1, "country": c, "score": 9, "said": said[c]} for day in at for c in said]
        project.rows("answers", pd.DataFrame(rows), entity="user_id", dimensions="[country]")
        project.kpi("voice", "type: survey\ndataset: answers\nscore: score\ncomment: said")
        assert not project.sync().failed
        server = Server(project.folder)
        yield server
        server.stop()


def tab_of(server: Server, group: str) -> Tab:
    headers = {"X-Forwarded-Email": f"{group}@example.com", "X-Forwarded-Groups": group}
    return Tab(server.port, headers, address=OWN)


def foreign(text: str) -> str:
    """What of other rows is in what was sent, in words or in a figure's numbers; empty = nothing."""
    text = RANDOM.sub("", text)
    found = FOREIGN.search(text) or re.search(OTHERS_WORDS, text)
    if found:
        return text[max(0, found.start() - 100) : found.end() + 100]
    for kind, data in ENCODED.findall(text):
        numbers = np.frombuffer(base64.b64decode(data), dtype=kind).astype(float)
        if ((numbers >= 77_000) & (numbers < 600_000)).any():
            return f"a figure with {numbers.max():g}"
    return ""


def without(text: str, query: dict[str, str]) -> str:
    """What was asked for may be repeated: that there is none of that name."""
    for value in sorted(query.values(), key=len, reverse=True):
        text = text.replace(value, "") if value in ("Margin", OTHERS_WORDS) else text
    return text


def questions(count: int) -> Iterator[tuple[str, dict[str, str]]]:
    """Each parameter's each value on the pages that may read it, then some together."""
    chance, pages = random.Random(SEED), itertools.cycle(PAGES)
    alone = [("kpi", {"kpi": "orders", name: value}) for name, values in ASKED.items() for value in values]
    alone += [(next(pages), {name: value}) for name, values in ASKED.items() for value in values]
    yield from chance.sample(alone, min(count, len(alone)))
    for _ in range(count):
        names = chance.sample(sorted(ASKED), 5)
        yield chance.choice(PAGES), {name: chance.choice(ASKED[name]) for name in names}


def test_no_address_leads_to_what_a_role_does_not_see(served: Server) -> None:
    with tab_of(served, "boss") as boss:
        for page, query in (("kpi", "kpi=orders"), ("kpi", "kpi=voice"), ("launch", "launch=shop"), ("", "")):
            assert foreign(boss.opens(page, query)), "the test would see it"
    with tab_of(served, "de") as tab:
        assert "Lebkuchen" in tab.opens("kpi", "kpi=voice"), "their own customers' words are there"
        for page, asked in questions(cases(fast=20, slow=150, full=2000)):
            text = tab.opens(page, urlencode(asked))
            assert not foreign(without(text, asked)), (page, asked)
            assert "Traceback" not in text and "exception {" not in text, (page, asked)


@pytest.mark.parametrize("stem", ["overview", "launches", "alerts", "snapshots", "data", "audit"])
def test_a_viewer_gets_no_page_of_others_and_no_file(served: Server, stem: str) -> None:
    with tab_of(served, "looking") as tab:
        text = tab.opens(stem, "kpi=orders&role=boss")
        assert "No page" in text or stem == "overview"
        assert "deferred_file_id" not in text and "button {" not in text
        assert "deferred_file_id" not in tab.opens("kpi", "kpi=orders"), "it may export nothing"


def kept(folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    def rows(connection: Connection, name: str) -> list[tuple[Any, ...]]:
        return sorted(map(tuple, connection.exec_driver_sql(f"SELECT * FROM {name}")), key=repr)

    with open_project(folder).state.reading() as connection:
        return {name: rows(connection, name) for name in metadata.tables if not name.startswith("audit")}


def test_a_click_on_what_is_not_there_does_nothing(served: Server) -> None:
    """A viewer, a role of a part, and a stranger say that they clicked what an editor's page has."""
    with tab_of(served, "boss") as boss:
        pages = {page: boss.opens(page, "launch=shop") for page in ("alerts", "data", "account", "launch", "snapshots")}
        clicks = [
            (page, WidgetState(id=found, trigger_value=True))
            for page, text in pages.items()
            for found in re.findall(r'(?<!download_)button \{\s+id: "([^"]+)"', text)
        ]
        assert len(clicks) >= 10
        clicks = random.Random(SEED).sample(clicks, cases(fast=3, slow=10, full=len(clicks)))
        before = kept(served.log.parent)
        for group in ("looking", "de", "nobody"):
            with tab_of(served, group) as tab:
                for page, click in clicks:
                    if group != "de" or page not in ("alerts", "launch"):  # where they may do it to their own
                        tab.opens(page, "", [click])
                        tab.opens("kpis", "", [click])
        with Tab(served.port) as tab:
            for page, click in clicks:
                tab.opens(page, "", [click])
        assert kept(served.log.parent) == before
        boss.opens("alerts", "", [clicked(boss.opens("alerts"), "Acknowledge")])
        assert kept(served.log.parent) != before, "whoever may, does"
