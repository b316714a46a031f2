"""run: the dashboard's server, bound to this machine unless told otherwise."""

from __future__ import annotations

import os
import socket
import sys

from connectors.errors import KpiError
from jobs.project.project import REPOSITORY, Project


def serve(project: Project, *, host: str, port: int) -> None:
    """Replace this process by the server. Raises KpiError if the port is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise KpiError(
                f"cannot listen at {host}:{port}: {error.strerror}",
                hint="Choose another port: kpi run --port 8600, or make run PORT=8600.",
            ) from error
    os.environ["KPI_PROJECT"] = str(project.folder)
    print(f"Bellwether: {project.name} at http://{host}:{port}", flush=True)
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        str(REPOSITORY / "app.py"),
        "--server.address",
        host,
        "--server.port",
        str(port),
    ]
    os.chdir(REPOSITORY)  # .streamlit/config.toml is read from here
    os.execv(sys.executable, command)
