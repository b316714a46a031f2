"""`make prove` leaves no test out, and its report says what was found."""

from __future__ import annotations

import subprocess
from xml.etree import ElementTree

from benchmarks import prove
from tests.conftest import ROOT

REPORT = """<testsuites><testsuite>
<testcase classname="tests.a.test_a" name="test_good"><properties><property name="cases" value="2000"/></properties>
</testcase>
<testcase classname="tests.a.test_a" name="test_bad"><failure message="AssertionError: 1 is not 2&#10;more"/></testcase>
<testcase classname="tests.a.test_a" name="test_left"><skipped message="no Chromium"/></testcase>
</testsuite></testsuites>"""


def test_every_test_belongs_to_an_area() -> None:
    named = [path for area, paths in prove.AREAS.items() if area != "clock" for path in paths]
    assert [path for path in named if not (ROOT / path).exists()] == []
    files = [str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py")]
    assert len(files) > 50
    assert [file for file in files if not any(file == n or file.startswith(f"{n}/") for n in named)] == []


def test_a_report_says_what_was_run_and_what_was_found() -> None:
    run = prove.read("all cases", "python -m pytest tests/a", 1, ElementTree.fromstring(REPORT), 12.3)
    assert (run.tests, run.skipped, run.failures) == (3, 1, {"tests/a/test_a::test_bad": "AssertionError: 1 is not 2"})
    text = prove.report_of("alerts", 7, "abc1234", [run])
    assert text.startswith("# Alerts: something failed\n") and "- Commit: abc1234\n" in text
    assert "`make prove alerts SEED=7`" in text and "| all cases | 3 | 1 | 1 | 1 | 12 |" in text
    assert "| `tests/a/test_a::test_good` | 2,000 |" in text and "`python -m pytest tests/a`" in text
    good = prove.Run("all cases", "python -m pytest tests/a", 0, 3, 0, {}, {}, 1.0)
    assert prove.report_of("alerts", 7, "abc1234", [good]).startswith("# Alerts: everything passed\n")
    nothing = prove.Run("all cases", "python -m pytest tests/a", 0, 0, 0, {}, {}, 1.0)
    assert "something failed" in prove.report_of("alerts", 7, "abc1234", [nothing]), "no test is no proof"


def test_make_prove_takes_the_area_as_a_word_or_as_a_variable() -> None:
    for words in (["prove", "alerts", "SEED=3"], ["prove", "AREA=alerts", "SEED=3"]):
        asked = ["make", "--dry-run", "--always-make", *words]
        told = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        assert "benchmarks/prove.py alerts --seed 3" in told
