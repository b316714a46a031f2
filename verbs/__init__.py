"""Groups of verbs of the `kpi` command; cli.py is where it starts."""
