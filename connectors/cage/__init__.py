"""Processes that compute what people wrote: SQL of definitions, transforms. They have limits, and can be ended.

A **worker** knows none of this process's variables, has a limit of memory that the system holds, and is killed when an
answer takes too long. A **cage** keeps a few of them. docs/decisions/0015-cage.md says why a process, and why ours.
"""
