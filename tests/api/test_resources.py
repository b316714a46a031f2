"""The HTTP API over a real socket: what each address answers, to whom, and that it is what the verbs print."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from jobs.access.tokens import create
from jobs.project.clock import utc_now
from jobs.project.project import open_project
from tests.conftest import Builder, Server, copied_demo, run_cli

SYNC_SECONDS = 90
ROLES = """
sign_in: true
sign_in_proxy: {addresses: [127.0.0.2]}
roles:
  - {name: emea, row_filters: {country: DE}, hidden_kpis: [nps]}
"""


class Api:
    """A server over a project, and tokens for it."""

    def __init__(self, folder: Path, base: str = "") -> None:
        self.folder, self.base = folder, base
        self.server = Server(folder, health=f"{base}/_stcore/health")
        state, now = open_project(folder).state, utc_now()
        day = timedelta(days=1)
        self.tokens = {scope: create(state, scope, [scope], day, by="t", now=now).secret for scope in ("read", "sync")}
        self.tokens["metrics"] = create(state, "metrics", ["metrics"], day, by="t", now=now).secret
        self.tokens["emea"] = create(state, "emea", ["read"], day, by="t", now=now, role="emea").secret
        self.tokens["gone"] = create(state, "gone", ["read"], day, by="t", now=now, role="gone").secret
        self.tokens["over"] = create(state, "over", ["read"], timedelta(seconds=1), by="t", now=now - day).secret

    def ask(
        self, path: str, token: str = "read", method: str = "GET", body: str = "", **headers: str
    ) -> tuple[int, Any, dict[str, str]]:
        """Status, JSON (or text) and headers in small letters."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        shown = {"Authorization": f"Bearer {self.tokens.get(token, token)}"} if token else {}
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, self.base + path, body or None, {**shown, **more})
        answer = connection.getresponse()
        text, told = answer.read().decode(), {name.lower(): value for name, value in answer.getheaders()}
        connection.close()
        return answer.status, json.loads(text) if "json" in told.get("content-type", "") else text, told

    def cli(self, *arguments: str) -> Any:
        """What a verb prints as JSON."""
        done = run_cli(*arguments, "--json", "--project", str(self.folder))
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def all_of(self, path: str, **more: Any) -> list[dict[str, Any]]:
        """Every part of a list."""
        found, cursor = [], ""
        while True:
            sign = "&" if "?" in path else "?"
            status, part, _ = self.ask(f"{path}{sign}cursor={cursor}", **more)
            assert status == 200, part
            found += part["rows"]
            if part["next"] is None:
                return found
            cursor = part["next"]


@pytest.fixture(scope="module")
def api(demo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    folder = copied_demo(demo_folder, tmp_path_factory.mktemp("api") / "demo")
    with (folder / "settings.yml").open("a") as settings:
        settings.write(ROLES)
    made = Api(folder)
    yield made
    made.server.stop()


READING = ("/kpis", "/kpis/nps", "/values", "/alerts", "/launches", "/launches/x", "/snapshots", "/snapshots/2026-W40")


def test_the_numbers_are_what_the_verb_prints(api: Api) -> None:
    for path, options in (
        ("nps", ()),
        (
            "activation?grain=month&start=2026-06-01&end=2026-10-01",
            ("--grain", "month", "--start", "2026-06-01", "--end", "2026-10-01"),
        ),
        (
            "sign_ups?by=platform&where=platform%3Dweb&where=platform%3Dios&compare=previous_period",
            ("--by", "platform", "--where", "platform=web", "--where", "platform=ios", "--compare", "previous_period"),
        ),
        ("week_4_retention?grain=total", ("--grain", "total")),
    ):
        status, found, headers = api.ask(f"/api/v1/kpis/{path}")
        assert status == 200, found
        assert found == api.cli("query", path.partition("?")[0], *options)
        assert found["rows"] and headers["content-type"] == "application/json"


def test_a_token_with_a_role_is_answered_what_the_role_sees(api: Api) -> None:
    status, found, _ = api.ask("/api/v1/kpis/sign_ups?grain=month", "emea")
    assert status == 200 and found == api.cli("query", "sign_ups", "--grain", "month", "--role", "emea")
    assert found["rows"] != api.cli("query", "sign_ups", "--grain", "month")["rows"]
    assert api.ask("/api/v1/kpis/nps", "emea")[0] == 404 and api.ask("/api/v1/kpis/tickets", "emea")[0] == 403
    assert "nps" not in {row["name"] for row in api.all_of("/api/v1/kpis", token="emea")}
    assert all(row["kpi"] != "nps" for row in api.all_of("/api/v1/values", token="emea"))
    assert api.all_of("/api/v1/snapshots", token="emea") == [] != api.all_of("/api/v1/snapshots")
    assert {row["segment"] for row in api.all_of("/api/v1/alerts", token="emea")} <= {"DE"}
    whole, _, headers = api.ask("/api/v1/kpis/sign_ups?grain=month")
    etag = headers["etag"]
    assert whole == 200 and api.ask("/api/v1/kpis/sign_ups?grain=month", "emea", If_None_Match=etag)[0] == 200


def test_the_lists_are_what_the_verbs_print_in_parts(api: Api) -> None:
    for path, verb in (
        ("kpis", ("list",)),
        ("alerts", ("alerts", "status")),
        ("launches", ("launch", "list")),
        ("snapshots", ("snapshot", "list")),
    ):
        whole = api.cli(*verb)
        assert whole, path
        assert api.all_of(f"/api/v1/{path}") == whole == api.all_of(f"/api/v1/{path}?limit=3"), path
    name = api.cli("launch", "list")[0]["name"]
    assert api.ask(f"/api/v1/launches/{name}")[1] == api.cli("launch", "show", name)
    week = api.cli("snapshot", "list")[0]["week"]
    assert api.ask(f"/api/v1/snapshots/{week}")[1] == api.cli("snapshot", "show", "--week", week)


def test_values_of_many_are_those_of_each_whatever_the_parts(api: Api) -> None:
    names = [row["name"] for row in api.cli("list")]
    each = [
        {"kpi": name, "grain": one["grain"], "unit": one["unit"], **row}
        for name in names
        for one in [api.ask(f"/api/v1/kpis/{name}?start=2026-09-01")[1]]
        for row in one["rows"]
    ]
    assert len(each) > 100
    for limit in (5000, 97):
        assert api.all_of(f"/api/v1/values?start=2026-09-01&limit={limit}") == each
    refused = api.ask("/api/v1/values?kpi=nps&kpi=sign_ups&by=country")[1]
    lacks = {one["kpi"] for one in refused["problems"]}
    assert lacks | {row["kpi"] for row in refused["rows"]} == {"nps", "sign_ups"}


def test_who_may_ask(api: Api) -> None:
    for path in READING:
        address = f"/api/v1{path}"
        for token in ("", "kpi_wrong", "over"):
            status, told, headers = api.ask(address, token)
            assert status == 401 and headers["www-authenticate"].startswith("Bearer"), (path, token)
            assert headers["content-type"] == "application/problem+json" and told["hint"] and told["code"]
        for token in ("sync", "metrics"):
            assert api.ask(address, token)[0] == 403, (path, token)
        status, told, _ = api.ask(address, "gone")
        assert status == 403 and "role gone" in told["detail"]
    assert api.ask("/api/v1/sync", "read", "POST")[0] == 403
    assert api.ask("/api/v1/kpis", "", Cookie="_streamlit_user=anything")[0] == 401, "a page's session opens nothing"


WRONG = (
    ("/kpis/never_heard_of", 404),
    ("/launches/never", 404),
    ("/snapshots/1999-W01", 404),
    ("/snapshots/soon", 422),
    ("/kpis/nps?grain=fortnight", 422),
    ("/kpis/nps?start=yesterday", 422),
    ("/kpis/nps?where=web", 422),
    ("/kpis/nps?by=nothing", 422),
    ("/kpis/nps?as_of=never", 422),
    ("/kpis/nps?compare=luck", 422),
    ("/kpis/nps?colour=red", 422),
    ("/kpis/nps?grain=day&grain=week", 422),
    ("/values?kpi=nothing", 422),
    ("/values?limit=0", 422),
    ("/values?limit=5001", 422),
    ("/values?cursor=abc", 422),
    ("/values?cursor=%F0%9F", 422),
    ("/snapshots?limit=x", 422),
    ("", 404),
    ("/", 404),
    ("/kpis/", 404),
    ("/kpis/a/b", 404),
    ("/nothing", 404),
    ("/kpis/nps%0A", 404),
    ("/kpis/%00nps", 404),
    ("/kpis/..%2fnps", 404),
    ("/kpis/a%5C..%5Cnps", 404),
)


@pytest.mark.parametrize(("path", "status"), WRONG)
def test_what_is_wrong_is_said(api: Api, path: str, status: int) -> None:
    found, told, headers = api.ask(f"/api/v1{path}")
    assert (found, told["status"], headers["content-type"]) == (status, status, "application/problem+json"), told
    assert told["detail"] and told["title"] and "Traceback" not in json.dumps(told)


def test_addresses_and_methods_that_are_not_there(api: Api) -> None:
    for path in ("/api", "/api/", "/api/v2/kpis", "/api/x"):
        assert api.ask(path)[0] == 404, path
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        status, told, headers = api.ask("/api/v1/kpis", method=method)
        assert status == 405 and told["code"] == "method" and "GET" in headers["allow"]
    status, _, headers = api.ask("/nowhere")
    assert status == 200 and "text/html" in headers["content-type"], "the dashboard's own page says so"


def test_an_answer_is_sent_once(api: Api) -> None:
    _, _, first = api.ask("/api/v1/kpis/nps")
    assert first["cache-control"] == "private, no-cache" and "Authorization" in first["vary"]
    for tag in (first["etag"], f"W/{first['etag']}", f'"x", {first["etag"]}'):
        status, text, headers = api.ask("/api/v1/kpis/nps", If_None_Match=tag)
        assert (status, text, headers["etag"]) == (304, "", first["etag"])
    assert api.ask("/api/v1/kpis/nps?grain=month", If_None_Match=first["etag"])[0] == 200
    assert api.ask("/api/v1/kpis/nps", "", If_None_Match=first["etag"])[0] == 401, "first the token"
    path = api.folder / "kpis" / "nps.yml"
    before = path.read_text()
    path.write_text(before + "\n# another word\n")
    assert api.ask("/api/v1/kpis/nps", If_None_Match=first["etag"])[0] == 200, "a definition changed"
    path.write_text(before)


def test_health(api: Api) -> None:
    assert api.ask("/healthz", "")[:2] == (200, {"ok": True})
    status, bare, _ = api.ask("/readyz", "")
    assert status == 200 and set(bare) == {"ok", "parts"} and set(bare["parts"]) == {"project", "data", "state", "sync"}
    for token in ("kpi_wrong", "emea"):
        assert set(api.ask("/readyz", token)[1]) == {"ok", "parts"}
    told = api.ask("/readyz", "metrics")[1]
    assert told["generation"] == api.ask("/api/v1/kpis/nps")[1]["generation"] and told["age_seconds"] >= 0


def test_a_sync_is_started_once_and_looked_at(api: Api) -> None:
    for body, status in (("x" * 2000, 413), ('{"a": 1}', 422)):
        assert api.ask("/api/v1/sync", "sync", "POST", body)[0] == status
    assert api.ask("/api/v1/sync", "sync")[1]["running"] is False
    status, told, headers = api.ask("/api/v1/sync", "sync", "POST")
    assert status == 202 and headers["location"] == "/api/v1/sync", told
    if told["running"]:
        assert api.ask("/api/v1/sync", "sync", "POST")[0] in (202, 409)
    end = time.monotonic() + SYNC_SECONDS
    while (found := api.ask("/api/v1/sync", "sync")[1])["running"] and time.monotonic() < end:
        assert api.ask("/healthz", "")[0] == 200
        time.sleep(0.2)
    assert found["running"] is False and found["rows"] is not None, found


def test_a_sync_of_somebody_else_is_told(api: Api) -> None:
    with open_project(api.folder).warehouse.staging(utc_now()):
        status, told, _ = api.ask("/api/v1/sync", "sync", "POST")
    assert (status, told["code"]) == (409, "sync_running")


def test_metrics_are_what_the_verbs_print(api: Api) -> None:
    assert [api.ask("/metrics", token)[0] for token in ("", "kpi_wrong", "over", "read")] == [401, 401, 401, 403]
    for scope in ("read", "sync"):
        assert api.ask("/api/v1/alerts", scope)[0] in (200, 403)
    status, text, headers = api.ask("/metrics", "metrics")
    assert status == 200 and headers["content-type"].startswith("text/plain")
    found = {(one.name, *sorted(one.labels.items())): one.value for one in samples("parser", text)}
    assert len(found) == len(samples("parser", text)), "no series is told twice"
    listed = api.cli("list")
    for row in listed:
        one = api.ask(f"/api/v1/kpis/{row['name']}")[1]
        labels = ("area", row["area"] or ""), ("kpi", row["name"]), ("unit", one["unit"] or "")
        assert found["bellwether_kpi_status", *sorted((*labels, ("status", row["status"])))] == 1
        done = [line["value"] for line in one["rows"] if line["complete"]][-1:]
        assert found.get(("bellwether_kpi_value", *sorted(labels))) == (done[0] if done else None), row["name"]
    refused = ("method", "GET"), ("route", "/alerts"), ("status", "403")
    assert found["bellwether_api_requests_total", *refused] >= 1
    assert found["bellwether_state_store_ok",] == 1 and found["bellwether_sync_overdue",] in (0, 1)
    for name in ("api_requests", "api_request_seconds", "kpi_value", "generation_published_timestamp_seconds"):
        assert f"# HELP bellwether_{name}" in text and f"# TYPE bellwether_{name}" in text
    counts = [
        (dict(key[1:])["le"], n)
        for key, n in found.items()
        if key[0].endswith("seconds_bucket") and ("route", "/alerts") in key
    ]
    rising = [n for _, n in sorted(counts, key=lambda pair: float(pair[0]))]
    assert (
        rising == sorted(rising) and rising[-1] == found["bellwether_api_request_seconds_count", ("route", "/alerts")]
    )


def test_metrics_in_the_form_that_is_asked_for(api: Api) -> None:
    status, text, headers = api.ask("/metrics", "metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert status == 200 and headers["content-type"].startswith("application/openmetrics-text")
    assert text.endswith("# EOF\n") and len(samples("openmetrics.parser", text)) > 20
    assert samples("parser", api.ask("/metrics", "metrics", Accept="*/*")[1])


def samples(parser: str, text: str) -> list[Any]:
    """As the library's own parser of that form reads them."""
    families = import_module(f"prometheus_client.{parser}").text_string_to_metric_families(text)
    return [one for family in families for one in family.samples]


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A project without data, below a path of its own."""
    folder = Builder(tmp_path_factory.mktemp("api_empty") / "project").folder
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STREAMLIT_SERVER_BASE_URL_PATH", "kpis")
        made = Api(folder, "/kpis")
    yield made
    made.server.stop()


def test_without_data_it_says_so(empty: Api) -> None:
    status, told, headers = empty.ask("/api/v1/kpis/nps")
    assert (status, empty.ask("/healthz", "")[0], empty.ask("/api/v1/x")[0]) == (503, 200, 404)
    assert told["code"] == "no_data" and headers["retry-after"]
    assert empty.ask("/api/v1/kpis")[1]["rows"] == []
    status, text, _ = empty.ask("/metrics", "metrics")
    assert status == 200 and "bellwether_kpi_value{" not in text and "bellwether_state_store_ok 1.0" in text
    status, told, _ = empty.ask("/readyz", "")
    assert status == 503 and told["parts"]["data"] == "not ok" and told["parts"]["project"] == "ok"
