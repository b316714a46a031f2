"""The embedded engine. The only place that imports duckdb."""
