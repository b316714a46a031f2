"""What sqlglot does not translate from DuckDB's SQL, or translates to what counts otherwise: a file per family.

A rule takes a node of a tree and the dialect, and gives the node that stands for it there; most leave most as they are.
Each has a test that fails without it: tests/engines/.
"""
