"""`python -m cli` is `kpi`."""

from cli.app import main

main()
