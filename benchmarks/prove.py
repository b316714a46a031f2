"""Run the tests of an area with all their random cases, and keep what was found in docs/proofs/<area>.md.

    python benchmarks/prove.py engine --seed 7

`make prove engine` is that. It exits with 1 where a test failed; the report is written all the same. Without --seed the
cases are others each time; the report says which.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.clocks import CLOCKS, MISSING, Clock, available  # noqa: E402
from connectors.clock import utc_now  # noqa: E402

PROOFS = ROOT / "docs" / "proofs"
# What the tests of each area are. A folder of tests belongs to one (tests/house/test_prove.py).
AREAS: dict[str, tuple[str, ...]] = {
    "engine": ("tests/engine", "tests/kpi_views", "tests/transforms", "tests/benchmarks"),
    "engines": ("tests/engines", "tests/lake"),
    "alerts": ("tests/alerts", "tests/jobs/test_evaluate_alerts.py", "tests/jobs/test_deliver.py"),
    "launches": ("tests/launches",),
    "snapshots": ("tests/snapshots",),
    "data": (
        "tests/test_runaways.py",
        "tests/sources",
        "tests/quality",
        "tests/catalog",
        "tests/warehouse",
        "tests/hostile",
        "tests/test_attacks.py",
    ),
    "jobs": ("tests/jobs", "tests/state", "tests/cli", "tests/operations"),
    "pages": ("tests/e2e", "tests/test_pages.py", "tests/ui", "tests/net"),
    "company": (  # who may see what, who did what, programs that ask, attacks, and what runs by itself
        "tests/access",
        "tests/audit",
        "tests/api",
        "tests/web",
        "tests/outbound",
        "tests/jobs/test_scheduler.py",
        "tests/jobs/test_due_times.py",
        "tests/jobs/test_upgrade.py",
        "tests/house/test_company.py",
    ),
    "house": (
        "tests/house",
        *(
            f"tests/test_{name}.py"
            for name in ("docs", "layers", "kpi_types", "logs", "secrets", "clock", "moved_clocks")
        ),
    ),
    "clock": ("tests",),
}


@dataclass(frozen=True)
class Run:
    """One run of pytest. cases: test → how many random cases of it; failures: test → its last line."""

    name: str
    command: str
    status: int
    tests: int
    skipped: int
    cases: dict[str, int]
    failures: dict[str, str]
    cpu_seconds: float


def pytest_of(paths: tuple[str, ...]) -> list[str]:
    """The command without what differs from machine to machine."""
    return ["python", "-m", "pytest", "-q", "-n", "2", *paths]


def run(name: str, paths: tuple[str, ...], clock: Clock | None, variables: dict[str, str], marks: str) -> Run:
    """Run these tests on a clock (None = the machine's) with variables, and read what came of each."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "junit.xml"
        told = [*pytest_of(paths), "-m", marks]
        command = [sys.executable, *told[1:], f"--junit-xml={report}"]
        environment = {**(clock.environment() if clock else os.environ), **variables}
        before = cpu_seconds()
        command = clock.command(command, utc_now()) if clock else command
        status = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
        found = ElementTree.parse(report).getroot() if report.exists() else ElementTree.Element("none")
        return read(name, " ".join(told), status, found, cpu_seconds() - before)


def cpu_seconds() -> float:
    """Of all processes that ended, started by this one or by theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def read(name: str, command: str, status: int, found: ElementTree.Element, cpu: float) -> Run:
    """A run from pytest's JUnit report."""
    cases, failures, skipped = {}, {}, 0
    tests = found.findall(".//testcase")
    for test in tests:
        label = f"{test.get('classname', '').replace('.', '/')}::{test.get('name')}"
        for told in test.findall("properties/property[@name='cases']"):
            cases[label] = int(told.get("value", "0"))
        skipped += test.find("skipped") is not None
        for wrong in (*test.findall("failure"), *test.findall("error")):
            failures[label] = (wrong.get("message") or "").strip().splitlines()[0][:200]
    return Run(name, command, status, len(tests), skipped, cases, failures, cpu)


def report_of(area: str, seed: int, commit: str, runs: list[Run]) -> str:
    """The area's report in Markdown."""
    good = all(one.status == 0 and one.tests for one in runs)
    lines = [
        f"# {area.capitalize()}: {'everything passed' if good else 'something failed'}",
        "",
        "Written by `make prove`; see [CONTRIBUTING.md](../../CONTRIBUTING.md).",
        "",
        f"- Date: {utc_now():%Y-%m-%d %H:%M} UTC",
        f"- Commit: {commit}",
        f"- Seed: {seed} (again: `make prove {area} SEED={seed}`)",
        f"- Machine: {platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "",
        "| Run | Tests | Passed | Failed | Skipped | CPU seconds |",
        "|---|---|---|---|---|---|",
    ]
    for one in runs:
        passed = one.tests - len(one.failures) - one.skipped
        counts = f"{one.tests} | {passed} | {len(one.failures)} | {one.skipped} | {one.cpu_seconds:.0f}"
        lines.append(f"| {one.name} | {counts} |")
    lines += ["", *(f"`{command}`" for command in dict.fromkeys(one.command for one in runs))]
    drawn = {label: count for one in runs for label, count in one.cases.items()}
    if drawn:
        lines += ["", "| Property | Random cases |", "|---|---|"]
        lines += [f"| `{label}` | {count:,} |" for label, count in sorted(drawn.items())]
    for one in runs:
        lines += [f"\n**{one.name}**: `{label}`: {words}" for label, words in one.failures.items()]
    return "\n".join(lines) + "\n"


def commit_of() -> str:
    """The commit that is checked out, and whether files differ from it."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    changed = git("status", "--porcelain", "--", ".", ":!docs/proofs")
    return git("rev-parse", "--short", "HEAD") + (", with changes that are not committed" if changed else "")


def prove(area: str, seed: int) -> bool:
    """Run an area, write its report; whether all of it passed."""
    variables = {"KPI_SEED": str(seed), "KPI_REQUIRE_ALL": "1", "OPENBLAS_NUM_THREADS": "1"}
    if area == "clock":
        runs = [run(clock.name, AREAS[area], clock, variables, "not slow") for clock in CLOCKS]
    else:
        runs = [run("all cases", AREAS[area], None, {**variables, "KPI_CASES": "full"}, "slow or not slow")]
    text = report_of(area, seed, commit_of(), runs)
    PROOFS.mkdir(exist_ok=True)
    (PROOFS / f"{area}.md").write_text(text)
    sys.stdout.write(text)
    return all(one.status == 0 and one.tests for one in runs)


def main() -> None:
    """Read the command line, prove, and exit with what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("area", choices=[*AREAS, "all"])
    parser.add_argument("--seed", type=int)
    chosen = parser.parse_args()
    areas = list(AREAS) if chosen.area == "all" else [chosen.area]
    if "clock" in areas and not available():
        parser.exit(1, f"{MISSING}\n")
    seed = chosen.seed if chosen.seed is not None else random.SystemRandom().randrange(10**6)
    proved = [prove(area, seed) for area in areas]
    sys.exit(0 if all(proved) else 1)


if __name__ == "__main__":
    main()
