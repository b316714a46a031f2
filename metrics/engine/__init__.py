"""Query → plan → sqlglot tree → SQL → frame → transforms → Series. The only writer of KPI SQL."""
