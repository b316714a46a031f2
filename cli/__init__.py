"""The `kpi` command: one file per group of verbs; app.py is where it starts."""
