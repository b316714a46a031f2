"""run: the dashboard's server, bound to this machine unless told otherwise."""

from __future__ import annotations

import os
import resource
import socket
import sys
from urllib.parse import urlsplit

from connectors.errors import KpiError
from jobs.operations.beside import serve_beside
from jobs.operations.hosts import is_loopback
from jobs.project.project import REPOSITORY, Project

MOST_FILES = 65_536


def serve(
    project: Project, *, host: str, port: int, allow_open: bool = False, scheduler_grace: float | None = None
) -> int:
    """Replace this process by the server. Raises KpiError if the port is taken, or everybody could look.

    allow_open: somebody else keeps strangers out, such as a proxy with a sign-in. scheduler_grace: with a scheduler
    beside it, which gives its runs so many seconds to end; then this process stays, and returns the exit status.
    """
    if not (is_loopback(host) or project.settings.sign_in or allow_open):
        raise KpiError(
            f"{host} is reached from other machines, and nobody has to sign in",
            hint="Set `sign_in: true` in settings.yml (docs/operations.md, Sign-in), listen at 127.0.0.1 behind a "
            "proxy that asks, or say that everybody may look: kpi run --allow-open.",
        )
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
    if project.settings.sign_in_proxy is not None:
        os.environ["FORWARDED_ALLOW_IPS"] = ""  # who connects is who does, not whom a header names
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
        *origins_of(project.settings.url),
    ]
    allow_files()
    os.chdir(REPOSITORY)  # .streamlit/config.toml is read from here
    if scheduler_grace is None:
        os.execv(sys.executable, command)
    grace = ["--grace", str(scheduler_grace)]
    scheduler = [sys.executable, "-m", "cli", "scheduler", "--project", str(project.folder), *grace]
    return serve_beside(command, scheduler, scheduler_grace)


def allow_files() -> None:
    """Open as many files as the system lets this process: each session takes four, an ended one three for 2 minutes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def origins_of(url: str) -> list[str]:
    """Options that let the pages at the dashboard's own address connect, where a proxy passes them on to here."""
    parts = urlsplit(url)
    return ["--server.corsAllowedOrigins", f"{parts.scheme}://{parts.netloc}"] if parts.netloc else []
