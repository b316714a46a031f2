"""*Sync now*: the same job as `kpi sync`, as a child process, with its progress on the page."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import streamlit as st

from connectors.errors import counted
from jobs.project.clock import utc_now
from jobs.project.log import of_a_child, relay
from jobs.project.pace import time_left
from jobs.project.project import REPOSITORY, Project
from ui.shell import state
from ui.shell.words import literal_lines


def sync_now(project: Project) -> None:
    """A button; while it runs, a bar; then what happened."""
    if not st.button("Sync now", type="primary", key="sync_now"):
        return
    bar = st.progress(0.0, "Starting")
    command = [
        sys.executable,
        "-m",
        "cli",
        "sync",
        "--json",
        "--events",
        "--project",
        str(project.folder),
        "--now",
        utc_now().isoformat(),
    ]
    pipe, environment = subprocess.PIPE, {**os.environ, **of_a_child()}
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=REPOSITORY, env=environment) as child:
        assert child.stderr is not None and child.stdout is not None
        said = []
        for line in child.stderr:
            try:
                event = json.loads(line)
                if relay(event):
                    continue
                left = time_left(event["left"])
                bar.progress(
                    min(1.0, event["done"] / max(1, event["total"])),
                    f"{event['text']}, {left}" if left else event["text"],
                )
            except (json.JSONDecodeError, KeyError, TypeError):
                said.append(line.rstrip())
        out = child.stdout.read()
    bar.empty()
    if out.strip():
        rows = sum(source["rows"] for source in json.loads(out)["sources"])
        st.session_state["synced"] = f"Synced: {counted(rows, 'row')} loaded." if rows else "Synced: nothing new."
    state.changed()
    st.session_state["sync_errors"] = "\n".join(said)
    st.rerun()


def last_result() -> None:
    """What the last *Sync now* of this session said."""
    if done := st.session_state.pop("synced", ""):
        st.success(done)
    if errors := st.session_state.pop("sync_errors", ""):
        st.error(literal_lines(errors))
