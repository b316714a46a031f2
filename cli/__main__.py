"""`python -m cli` is `kpi`."""

from cli.app import command

command()
