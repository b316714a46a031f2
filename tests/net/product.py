"""The few doors to the product that the net goes through. What moves in the tree is imported here and nowhere else."""

from __future__ import annotations

import contextlib
import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from connectors.clock import set_clock
from jobs.project.project import open_project
from tests.conftest import COMMAND, NOW, ROOT, Builder, run_process
from ui.shell import state

ENTRY = ROOT / "ui" / "main.py"  # what `streamlit run` is given
PAGES = ROOT / "pages"

__all__ = ["NOW", "PAGES", "ROOT", "Builder", "Said", "dashboard", "kpi", "open_project", "run_process", "set_clock"]


@dataclass(frozen=True)
class Said:
    """How a verb ended. stdout is bytes: some forms of a snapshot are no text."""

    status: int
    stdout: bytes
    stderr: str


def kpi(*arguments: str) -> Said:
    """`kpi …` in this process, begun at NOW: a second and more per call cheaper than a new one."""
    set_clock(NOW)
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    status = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            COMMAND.main(args=list(arguments), prog_name="kpi")
        except SystemExit as ended:
            status = int(ended.code or 0)
    return Said(status, _bytes(out), _bytes(err).decode())


def _bytes(stream: io.TextIOWrapper) -> bytes:
    stream.flush()
    raw = stream.detach()
    assert isinstance(raw, io.BytesIO)
    return raw.getvalue()


def dashboard(patch: pytest.MonkeyPatch, folder: Path) -> Any:
    """The dashboard of a project, headless; nothing of another project is left in its caches."""
    patch.setenv("KPI_PROJECT", str(folder))
    os.chdir(ROOT)
    st.cache_resource.clear()
    st.cache_data.clear()
    state.changed()  # one server shows one project; this process shows several
    return AppTest.from_file(str(ENTRY), default_timeout=120).run()
