"""The source `rest` against an API on loopback: every paging and sign-in, faults, what is new, what is refused."""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from connectors.sources.rest.spool import Spool
from tests.conftest import Builder, run_cli
from tests.fakes.plain import KEY, Plain
from tests.fakes.server import Fake, impatient

pytestmark = pytest.mark.breadth(10)

PAGINGS = {
    "none": ("[]", "{type: none}"),
    "link_header": ("", "{type: link_header, size_param: size, size: 4}"),
    "next_url": ("data.items", "{type: next_url, path: links.next, size_param: size, size: 4}"),
    "cursor": ("data.items", "{type: cursor, param: after, path: meta.next}"),
    "last_id": ("data.items", "{type: last_id, param: after, field: id, more: has_more}"),
    "offset": ("data.items", "{type: offset, total: total}"),
    "page": ("", "{type: page, size_param: size, size: 3}"),
}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of milliseconds, so that a fault costs no time."""
    impatient(monkeypatch)


@pytest.fixture
def plain() -> Plain:
    made = Plain()
    made.orders = [order(n) for n in range(10)]
    return made


@pytest.fixture
def served(plain: Plain) -> Iterator[Fake]:
    with Fake(plain.app) as fake:
        yield fake


def order(number: int, **more: Any) -> dict[str, Any]:
    at = pd.Timestamp("2026-11-01") + pd.Timedelta(hours=number)
    return {
        "id": number,
        "updated_at": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        "plan": {"name": "pro" if number % 2 else "free"},
        "amount": number + 0.5,
        **more,
    }


def source(served: Fake, paging: str, more: str = "") -> str:
    records, how = PAGINGS[paging]
    lines = [
        "- name: orders\n  type: rest\n  table: orders\n  primary_key: id",
        f"  url: {served.url}/orders/{paging}",
        f"  auth: {{type: bearer, token: {KEY}}}" if "auth:" not in more else "",
        f"  records: {records}" if records not in ("", "[]") else "",
        f"  paging: {how}",
        "  fields: {id: {path: id, type: BIGINT}, at: {path: updated_at, type: utc}, plan: plan.name, "
        "amount: {path: amount, type: DOUBLE}}",
        more,
    ]
    return "\n".join(line for line in lines if line)


def table(project: Builder) -> list[tuple[Any, ...]]:
    frame = project.open().reader().frame('SELECT id, "at", plan, amount FROM orders ORDER BY id')
    return [(int(r.id), f"{r.at:%Y-%m-%dT%H:%M:%SZ}", r.plan, r.amount) for r in frame.itertuples()]


def truth(plain: Plain) -> list[tuple[Any, ...]]:
    return sorted((o["id"], o["updated_at"], o["plan"]["name"], o["amount"]) for o in plain.orders)


def failed(project: Builder) -> str:
    result = project.sync()
    assert result.failed
    return result.sources[0].error


@pytest.mark.parametrize("paging", PAGINGS)
def test_each_way_of_paging_brings_every_record(project: Builder, plain: Plain, served: Fake, paging: str) -> None:
    if paging == "none":
        plain.orders = plain.orders[:3]
    project.source(source(served, paging))
    result = project.sync()
    assert not result.failed and table(project) == truth(plain)
    assert result.sources[0].rows == len(plain.orders) and result.sources[0].quarantined == 0


def test_a_post_pages_in_its_body(project: Builder, plain: Plain, served: Fake) -> None:
    project.source(source(served, "cursor", "  method: POST\n  body: {size: 4}"))
    assert not project.sync().failed and table(project) == truth(plain)
    assert {one.method for one in served.seen} == {"POST"} and len(served.seen) == 3


def pem(key: Any) -> str:
    return str(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())


@pytest.mark.parametrize(
    "auth",
    [
        f"{{type: basic, user: me, password: {KEY}}}",
        f"{{type: api_key, name: X-Api-Key, value: {KEY}}}",
        f"{{type: api_key, name: api_key, value: {KEY}, place: query}}",
        "{type: oauth2, token_url: URL/token, client_id: me, client_secret: s3cret-word, scope: read}",
        "{type: oauth2, token_url: URL/token, client_id: me, refresh_token: refr3sh-word}",
        "{type: google_service_account, key_file: google.json, scope: analytics}",
        "{type: jwt_es256, issuer: us, key_id: K1, key_file: apple.p8}",
    ],
)
def test_each_way_to_sign_in(project: Builder, plain: Plain, served: Fake, auth: str) -> None:
    google = {
        "client_email": "kpi@x.iam.gserviceaccount.com",
        "private_key": pem(rsa.generate_private_key(65537, 2048)),
        "token_uri": f"{served.url}/token",
    }
    (project.folder / "google.json").write_text(json.dumps(google))
    (project.folder / "apple.p8").write_text(pem(ec.generate_private_key(ec.SECP256R1())))
    project.source(source(served, "cursor", f"  auth: {auth.replace('URL', served.url)}"))
    assert not project.sync().failed and table(project) == truth(plain)
    grants = {
        "oauth2": "refresh_token" if "refresh" in auth else "client_credentials",
        "google": "urn:ietf:params:oauth:grant-type:jwt-bearer",
    }
    wanted = next((grant for kind, grant in grants.items() if kind in auth), None)
    assert [form["grant_type"] for form in plain.asked] == ([wanted] if wanted else [])


def test_a_token_that_ended_is_renewed_once(project: Builder, plain: Plain, served: Fake) -> None:
    auth = f"{{type: oauth2, token_url: {served.url}/token, client_id: me, client_secret: s3cret-word}}"
    project.source(source(served, "cursor", f"  auth: {auth}"))

    def ended(start: int) -> None:
        if start == 3:
            plain.tokens += 1  # the one in use holds no more

    plain.between = ended
    assert not project.sync().failed and table(project) == truth(plain) and len(plain.asked) == 2


def test_a_dry_run_shows_columns_and_first_rows(project: Builder, plain: Plain, served: Fake) -> None:
    project.source(source(served, "cursor"))
    result = project.sync(dry_run=True)
    sample = result.samples["orders"]
    assert sample.columns == {"id": "BIGINT", "at": "TIMESTAMP", "plan": "VARCHAR", "amount": "DOUBLE"}
    assert sample.rows[0] == {"id": "0", "at": "2026-11-01 00:00:00", "plan": "free", "amount": "0.5"}
    assert len(sample.rows) == 3 and not result.published and project.open().warehouse.live() is None
    assert result.as_dict()["samples"]["orders"]["rows"][1]["plan"] == "pro"
    said = run_cli("sync", "--dry-run", "--project", str(project.folder))
    assert said.returncode == 0 and "orders: 4 columns, and its first rows" in said.stdout
    assert re.search(r"plan +VARCHAR +free \| pro \| free", said.stdout)


def test_a_record_that_comes_between_two_pages_is_there_once(project: Builder, plain: Plain, served: Fake) -> None:
    """Newest first by offset: what is new shifts the pages, so the last record of one comes again on the next."""
    plain.orders.reverse()
    project.source(source(served, "offset"))
    plain.between = lambda start: plain.orders.insert(0, order(99)) if start == 3 else None
    assert not project.sync().failed
    assert table(project) == sorted(t for t in truth(plain) if t[0] != 99), "what came meanwhile comes at the next sync"
    plain.between = None
    project.sync()
    assert table(project) == truth(plain)


@pytest.mark.parametrize("faults", [["new key", "again"], ["", "again"], ["", "new key", "again", "new key", "again"]])
def test_the_page_before_in_the_place_of_the_next_hides_nothing(
    project: Builder, plain: Plain, served: Fake, faults: list[str]
) -> None:
    """Of numbered pages nothing else tells: neither a key that only one answer has."""
    project.source(source(served, "page"))
    served.faults.next = [*faults]
    assert not project.sync().failed and not served.faults.next
    assert table(project) == truth(plain)


def test_what_is_new_is_asked_for(project: Builder, plain: Plain, served: Fake) -> None:
    cursor = "  cursor: {field: updated_at, param: since, written: iso, start: 2026-11-01T02:00:00Z}\n  lookback: 1h"
    project.source(source(served, "cursor", cursor))
    project.sync()
    assert [row[0] for row in table(project)] == list(range(2, 10))
    plain.orders += [order(11), order(8, amount=99.0)]
    served.seen.clear()
    project.sync()
    assert "since=2026-11-01T08" in served.seen[0].query.replace("%3A", ":") and len(served.seen) == 2
    rows = {row[0]: row[3] for row in table(project)}
    assert list(rows) == [*range(2, 10), 11] and rows[8] == 99.0


def test_a_moment_in_the_future_moves_no_cursor(project: Builder, plain: Plain, served: Fake) -> None:
    plain.orders.append({**order(50), "updated_at": "2036-01-01T00:00:00Z"})
    project.source(source(served, "cursor", "  cursor: {field: updated_at, param: since, written: iso}"))
    assert project.sync().sources[0].cursor == {"value": "2026-11-01T09:00:00Z"}


def test_what_does_not_fit_its_type_is_put_aside(project: Builder, plain: Plain, served: Fake) -> None:
    plain.orders[3]["amount"] = "much"
    project.source(source(served, "cursor", "  max_quarantine: 0.2"))
    run = project.sync().sources[0]
    assert run.quarantined == 1 and [row[0] for row in table(project)] == [0, 1, 2, 4, 5, 6, 7, 8, 9]


def test_without_fields_every_key_is_a_column(project: Builder, plain: Plain, served: Fake) -> None:
    text = source(served, "cursor")
    project.source("\n".join(line for line in text.splitlines() if not line.startswith("  fields")))
    assert not project.sync().failed
    frame = project.open().reader().frame("SELECT * FROM orders ORDER BY id")
    assert list(frame.columns) == ["id", "updated_at", "plan", "amount"]
    assert json.loads(frame["plan"][1]) == {"name": "pro"} and frame["amount"].sum() == 50


def test_a_revoked_key_says_so_and_nothing_is_lost(project: Builder, plain: Plain, served: Fake) -> None:
    project.source(source(served, "cursor"))
    project.sync()
    plain.revoked = True
    said = failed(project)
    assert "does not accept the key for /orders/cursor (HTTP 401): no such key" in said and KEY not in said
    assert table(project) == truth(plain)


@pytest.mark.parametrize("said", ['{"error": {"message": "%s"}}', "<html>%s</html>"])
def test_an_error_does_not_end_within_a_key(project: Builder, said: str) -> None:
    """What an API says is cut at 200 letters."""
    answer = said % ("x" * 185 + f" {KEY}")
    with Fake(Starlette(routes=[Route("/orders/cursor", lambda _: PlainTextResponse(answer, 400))])) as served:
        project.source(source(served, "cursor"))
        assert "xxx" in failed(project) and KEY[:6] not in failed(project)


@pytest.mark.parametrize(
    ("paging", "change", "words"),
    [
        ("cursor", ("records: data.items", "records: data.rows"), "the answer has no list at 'data.rows'"),
        ("cursor", ("path: meta.next", "path: data.items.0.id"), "the API sends the same page again and again"),
        ("cursor", ("/orders/cursor", "/nothing"), "has no /nothing (HTTP 404)"),
        ("cursor", ("/orders/cursor", "/long"), "one answer is longer than 64 MB"),
        ("next_url", ("path: links.next", "path: data.items.0.link"), "the next page is at another host, evil.example"),
    ],
)
def test_what_cannot_be_read_says_what_to_do(
    project: Builder, plain: Plain, served: Fake, paging: str, change: tuple[str, str], words: str
) -> None:
    for n, one in enumerate(plain.orders):
        one |= {"id": 5 + n // 100, "link": "https://evil.example/next"} if "again" in words or "evil" in words else {}
    text = source(served, paging)
    assert change[0] in text
    project.source(text.replace(*change))
    assert words in failed(project)


def test_a_server_that_is_gone_or_fails_for_ever_is_told(project: Builder, plain: Plain, served: Fake) -> None:
    project.source(source(served, "cursor"))
    served.faults.next = ["500"] * 6
    assert "answers /orders/cursor with HTTP 500" in failed(project)
    served.faults.next = ["hang up"] * 6
    assert "does not answer" in failed(project)
    served.faults.next = ["429"] * 6
    assert "asks to wait (HTTP 429)" in failed(project)
    assert not project.sync().failed and table(project) == truth(plain)


def test_no_more_is_asked_than_the_api_allows(project: Builder, plain: Plain) -> None:
    with Fake(plain.app, budget=((5, 0.5),)) as fake:
        project.source(source(fake, "cursor", "  rate: [5/1s]\n  body: {size: 1}\n  method: POST"))
        assert not project.sync().failed and fake.too_many == 0 and len(fake.seen) == 10
    assert table(project) == truth(plain)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("rate: [fast]", "'fast' is no rate"),
        ("lookback: 1d", "needs `cursor` and `primary_key`"),
        ("body: {a: 1}", "is sent by `method: POST` only"),
        ("fields: {a: 7}", "a field is a path such as plan.name"),
        ("paging: {type: pages}", "pages"),
        ("auth: {type: bearer}", "token"),
    ],
)
def test_options_that_do_not_fit_are_told_with_their_line(project: Builder, line: str, words: str) -> None:
    key = line.partition(":")[0]
    text = f"- name: a\n  type: rest\n  table: a\n  url: https://api.example.com/v1\n  {line}\n"
    project.source(text)
    problems = project.open().sources.read()[1]
    assert any(words in f"{p.message} {p.hint}" and p.line >= 1 for p in problems), (key, problems)


def test_a_full_disk_is_that_sources_failure(project: Builder, monkeypatch: pytest.MonkeyPatch, served: Fake) -> None:
    project.source(source(served, "cursor"))
    project.rows("others", pd.DataFrame({"at": [pd.Timestamp("2026-11-20")]}))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Spool, "add", full)
    runs = {run.name: run for run in project.sync().sources}
    assert runs["orders"].status == "failed" and "No space left on device" in runs["orders"].error
    assert runs["others"].status == "loaded"


def test_what_waits_goes_when_it_is_published(project: Builder, monkeypatch: pytest.MonkeyPatch, served: Fake) -> None:
    project.source(source(served, "cursor"))
    waiting = project.folder / "data" / "pulls" / "orders" / "window.jsonl"
    waiting.parent.mkdir(parents=True)
    waiting.write_text("{}")
    project.sync(dry_run=True)
    assert waiting.exists(), "a dry run publishes nothing"
    monkeypatch.setattr("metrics.engine.refresh.refresh", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        project.sync()
    assert waiting.exists(), "it died before it published"
    monkeypatch.undo()
    project.sync()
    assert not waiting.exists()


@pytest.mark.parametrize("name", ["..", "../../kpis", "/", ".", "a/../../b"])
def test_no_name_of_a_source_leads_out_of_the_folder_that_is_removed(project: Builder, served: Fake, name: str) -> None:
    project.source(source(served, "cursor").replace("- name: orders", f"- name: {name}"))
    project.kpi("stays", "dataset: none")
    made = next(iter(project.open().sources.all().values()))
    assert made.kept is not None and made.kept.resolve().parent == (project.folder / "data" / "pulls").resolve()
    project.sync()
    assert (project.folder / "kpis" / "stays.yml").exists() and (project.folder / "data" / "live").exists()
