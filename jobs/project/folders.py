"""The folders of a project. Importing this loads nothing: `kpi init` makes them and reads no definition."""

PARTS = ("datasets", "kpis", "launches", "snapshots", "transforms")  # of definitions
