"""A folder of Parquet files that an engine computes from: docs/decisions/0023-lake.md."""
