"""The `kpi` command: parses, calls a job, prints. docs/cli.md is its reference."""

from __future__ import annotations

import gc
import os

import typer

from cli.ending import ended_at_once
from cli.options import LOADING, LOG_LEVEL, ProjectOption
from cli.output import reported
from cli.verbs import Verbs
from jobs.operations.threads import one_blas_thread

app = typer.Typer(
    cls=Verbs,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="KPIs from the shell. Exit status: 0 good, 1 what you asked about is wrong, 2 wrong usage.",
)


@app.callback()
def _before_the_verb(project: ProjectOption = None) -> None:
    if project:  # `kpi --project DIR VERB` is `kpi VERB --project DIR`
        os.environ["KPI_PROJECT"] = project
    from jobs.project.log import set_up

    with reported(False):
        set_up(format="text", level=LOG_LEVEL)  # until the project's settings are read


def main() -> None:
    """One run of `kpi`; ends in SystemExit."""
    gc.set_threshold(*LOADING)
    one_blas_thread()
    app(prog_name="kpi")


def command() -> None:
    """Entry point of the `kpi` command: a run, and the end of the process."""
    with ended_at_once():
        main()
