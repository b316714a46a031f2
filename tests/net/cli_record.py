"""What every verb of the command says on each project: exit status, stdout, stderr.

Beside what text.py makes equal: seconds of `sync`, versions and free disk space of `doctor`; and of PDF and PNG, which
hold a random name, only the kind and the words of the PDF.
"""

from __future__ import annotations

import io
import json
import re
import shutil
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from pypdf import PdfReader

from tests.net.product import NOW, Said, kpi, open_project
from tests.net.text import GENERATION, html_lines, json_lines, settled, sha, shortened

AT = ("--now", NOW.isoformat())
MACHINE = re.compile(r'"detail": "(\d+\.\d+\.\d+|\d+ as pinned|[^"]* is [^"]*, pinned [^"]*|[\d.]+ [MG]B free[^"]*)"')
TOOK = re.compile(r"(?m)^(\w+ +\w+ +\d+ +\d+) +[\d.]+$")  # a row of `sync` with its seconds
VALUES = {"platform": "web", "plan": "pro", "country": "DE", "big": "true", "card_region": "EU"}
BY = ("--by", "ana")

PROGRESS = re.compile(r"\d+ of \d+  ")


class Shell:
    """Runs verbs on one project and writes down what they said."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._blocks: list[str] = []

    def __call__(self, *arguments: str) -> Said:
        done = kpi(*arguments, "--project", str(self.folder))
        words = settled(" ".join(f"'{a}'" if " " in a else a for a in arguments if a not in AT), self.folder)
        lines = [f"$ kpi {words}", *(f"  {line}" for line in self._said(done, arguments))]
        if done.status:
            lines.append(f"  exit {done.status}")
        if done.stderr:
            told = "\n".join(line for line in done.stderr.split("\n") if not PROGRESS.match(line))  # on slow machines
            lines += [f"  2> {line}" for line in shortened(settled(told, self.folder).rstrip("\n"))] if told else []
        self._blocks.append("\n".join(lines))
        return done

    def _said(self, done: Said, arguments: Sequence[str]) -> list[str]:
        raw = done.stdout
        if raw.startswith((b"%PDF", b"\x89PNG")):
            return _picture(raw, self.folder)
        text = settled(raw.decode(), self.folder)
        if text.lower().startswith("<!doctype html"):
            return html_lines(text)
        if text.startswith(("{", "[")):
            plain = MACHINE.sub('"detail": "<of the machine>"', text)
            return [f"json {sha(plain)}", *json_lines(json.loads(plain))]
        if "sync" in arguments:
            text = TOOK.sub(r"\1  <seconds>", text)
        return shortened(text.rstrip("\n")) if text else []

    @property
    def text(self) -> str:
        return "\n\n".join(self._blocks) + "\n"


def _picture(raw: bytes, folder: Path) -> list[str]:
    if raw.startswith(b"%PDF"):
        text = "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(raw)).pages)
        return ["a PDF", *shortened(settled(_unwrapped(text), folder))]
    width, height = (int.from_bytes(raw[at : at + 4], "big") for at in (16, 20))
    return [f"a PNG of {width} × {height}"]


def _unwrapped(text: str) -> str:
    """A PDF's words in lines of equal length: where its own lines break hangs on how wide a run's random digits are."""
    words = re.sub(r"(?<=\w)-\n(?=\w)", "-", text).split()
    return "\n".join(textwrap.wrap(GENERATION.sub(r"\1-<random>", " ".join(words)), 110, break_on_hyphens=False))


def record(name: str, folder: Path, made: str) -> dict[str, str]:
    """File name → text, of the verbs that only read, one file per KPI of questions, and the verbs that write."""
    found = {"made.txt": made} if made else {}
    shell = Shell(folder)
    _reading(shell)
    {"demo": _demo, "types": _types, "shop": _shop}[name](shell)
    found["verbs.txt"] = shell.text
    catalogue = open_project(folder).catalogue()
    for number, (kpi_name, item) in enumerate(catalogue.kpis.items()):
        dimensions = catalogue.dimensions_of(item)
        asked = Shell(folder)
        for question in _questions(number, dimensions):
            asked("query", kpi_name, *question)
        found[f"query/{kpi_name}.txt"] = asked.text
        if name != "demo":  # tests/golden/sql has the demo's
            found[f"sql/{kpi_name}.sql"] = settled(
                kpi("query", kpi_name, "--sql", "--project", str(folder)).stdout.decode(), folder
            )
    copy = folder.with_name(f"{folder.name}_written")
    shutil.copytree(folder, copy, symlinks=True)
    shell = Shell(copy)
    _writing(name, shell)
    found["written.txt"] = shell.text
    shutil.rmtree(copy)
    return found


def _questions(number: int, dimensions: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """What each KPI is asked; with its number go round: comparison, form, dimension, and what only some are asked."""
    compare = ("previous_period", "same_period_last_year", "to_date")[number % 3]
    since = ("--start", "2026-09-01")
    yield ("--json",)
    if number % 2:
        yield "--grain", "total", *since, "--end", "2026-11-01", "--compare", "previous_range", "--json"
    else:
        yield "--grain", ("week", "month")[number % 4 // 2], *since, "--compare", compare, "--format", "csv"
    chosen = dimensions[number % len(dimensions)] if dimensions else ""
    if chosen and number % 3:
        yield "--by", chosen, *since, ("--json", "--format=csv", "--format=table")[number % 3]
    elif chosen:
        yield "--where", f"{chosen}={VALUES.get(chosen, 'nothing')}", *since, "--json"
    if number % 4 == 0:
        yield ("--explain",)


def _reading(shell: Shell) -> None:
    shell("status", "--json", *AT)
    shell("list", "--json", *AT)
    shell("check", "--json")
    shell("diff", "--json")
    shell("alerts", "status", "--json", *AT)
    shell("alerts", "history", "--json", *AT)
    shell("launch", "list", "--json", *AT)


def _demo(shell: Shell) -> None:
    shell("sources", "--json")
    shell("sources")
    shell("list", "--area", "Growth", *AT)
    shell("check", "activation")
    for kind in ("cron", "systemd", "github"):
        shell("schedule", kind, "--every", "1h")
    shell("schedule", "cron", "--every", "7 min")
    shell("alerts", "status", *AT)
    shell("alerts", "history", "--kpi", "nps", *AT)
    shell("alerts", "replay", "error_free_sessions", "--rule", "crashes", "--json")
    shell("alerts", "replay", "error_free_sessions", "--start", "2026-11-01", *AT)
    shell("launch", "list", "--kind", "launch", *AT)
    shell("doctor", "--json", *AT)
    shell("validate", "--json", *AT)
    shell("launch", "show", "new_editor", "--json", *AT)
    shell("launch", "show", "new_editor", "--verify", *AT)
    shell("launch", "show", "mobile_onboarding", *AT)
    shell("snapshot", "list")
    shell("snapshot", "show", "--json")
    for form in ("html", "pdf", "png", "mail"):
        shell("snapshot", "render", "--format", form, *AT)
    shell("query", "sign_ups", "--as-of", "nothing")
    shell("query", "sign_ups", "--where", "platform=web", "--where", "platform=ios", "--where", "plan=pro", "--json")
    shell("query", "sign_up")
    shell("query", "sign_ups", "--grain", "decade")
    shell("query", "sign_ups", "--by", "colour")
    shell("query", "sign_ups", "--format", "xml")
    shell("query", "sign_ups", "--start", "yesterday")
    shell("query", "error_free_sessions", "--grain", "hour", "--start", "2026-11-20", "--end", "2026-11-22", "--json")
    shell("query")
    shell("nothing")
    for group in ((), ("alerts",), ("launch",), ("snapshot",), ("query",)):
        shell(*group, "--help")


def _types(shell: Shell) -> None:
    shell("alerts", "replay", "rows", "--json")
    shell("alerts", "replay", "buy_share", "--rule", "missed")
    shell("launch", "show", "wizard", "--json", *AT)
    shell("query", "rows", "--grain", "hour", "--start", "2026-10-31", "--end", "2026-11-03", "--json")
    shell("query", "by_plan", "--by", "big", "--where", "plan=(none)", "--json")


def _shop(shell: Shell) -> None:
    shell("validate", *AT)
    shell("validate", "trial", "--json", *AT)
    shell("status", *AT)
    shell("list", "--tag", "none", *AT)
    shell("list", *AT)
    shell("doctor", "--json", *AT)
    shell("query", "typo")
    shell("query", "lost")
    earlier = open_project(shell.folder).reader().generations()[0].id
    for name in ("orders", "paid_share", "buyers"):
        shell("query", name, "--as-of", earlier, "--json")
        shell("query", name, "--as-of", earlier, "--by", "platform", "--start", "2026-11-01", "--format", "csv")
    shell("diff", "paid_share", "--periods", "4")
    shell("snapshot", "list", "--json")
    shell("snapshot", "diff", "--json", *AT)
    shell("snapshot", "diff", "--week", "2026-W46", "--json", *AT)
    shell("snapshot", "diff", "--week", "2026-W46", "--points", *AT)
    shell("snapshot", "show", "--week", "2026-W46")
    shell("snapshot", "show", "--snapshot", "areas", "--json")
    for form in ("markdown", "csv", "json"):
        shell("snapshot", "render", "--week", "2026-W46", "--format", form, *AT)
    shell("snapshot", "send", "--preview")
    shell("launch", "show", "checkout", "--json", *AT)
    for form in ("table", "html"):
        shell("launch", "show", "checkout", "--format", form, *AT)
    shell("launch", "show", "checkout", "--verify", "--json", *AT)
    shell("alerts", "replay", "orders", "--rule", "few", "--json")


def _writing(name: str, shell: Shell) -> None:
    """On a copy: verbs that write, and what reads differently afterwards."""
    shell("alerts", "evaluate", "--json", *AT)
    shell("launch", "read", "--json", *AT)
    if name != "shop":
        return
    shell("alerts", "evaluate", "--fail-on", "warning", *AT)
    shell("alerts", "silence", "orders.few", "--until", "2h", "--segment", "ios", *BY, *AT)
    shell("alerts", "ack", "1", *BY, *AT)
    shell("alerts", "status", *AT)
    shell("alerts", "history", *AT)
    shell("launch", "add", "wizard", "--on", "2026-12-01", "--success", "paid_share:+2pp", "--guardrail", "orders:> 10",
          *BY, *AT)  # fmt: skip
    shell("launch", "list", *AT)
    shell("launch", "decide", "checkout", "keep", "--why", "it sells", *BY, *AT)
    shell("launch", "remove", "wizard")
    shell("launch", "remove", "checkout")
    shell("launch", "list", "--json", *AT)
    shell("snapshot", "note", "A sale.", "--week", "2026-W46", *BY, *AT)
    shell("snapshot", "take", "--week", "2026-W46", "--json", *BY, *AT)
    shell("snapshot", "diff", "--week", "2026-W46", "--revision", "1", "--json", *AT)
    shell("snapshot", "list", "--json")
    shell("snapshot", "render", "--week", "2026-W46", "--format", "markdown", *AT)
    shell("add", "kpi", "mean_order", "dataset=orders", "agg=avg", "expr=amount")
    shell("sync", "--full", "--json", *AT)
    shell("sync", "--dry-run", *AT)
    shell("status", "--json", *AT)
    shell("query", "mean_order", "--json")
    target = shell.folder / "saved.zip"
    shell("backup", str(target), *AT)
    done = kpi("restore", str(target), str(shell.folder / "again"))
    assert done.status == 0, done.stderr
