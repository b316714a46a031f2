"""`kpi run` opens as many files as it may: a session takes four of them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import ROOT

SHOWN = (
    "import resource\n"
    "resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))\n"
    "from jobs.operations.serve import allow_files\n"
    "allow_files()\n"
    "print(*resource.getrlimit(resource.RLIMIT_NOFILE))\n"
)


@pytest.mark.parametrize(("soft", "hard"), [(256, 512), (512, 512)])
def test_the_limit_is_what_the_system_lets_it_be(soft: int, hard: int) -> None:
    code = SHOWN.format(soft=soft, hard=hard)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(hard), str(hard)]
