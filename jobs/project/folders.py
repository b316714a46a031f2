"""The folders of a project. Importing this loads nothing: `kpi init` makes them and reads no definition."""

PARTS = ("datasets", "kpis", "launches", "plans", "snapshots", "transforms")  # of definitions
