"""On what terms an engine is asked: its SQL, as whoever writes that knows it, and what a question may take."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from connectors.buckets import S3Access
from connectors.warehouse.engines.guarded import Guard


@dataclass(frozen=True)
class Terms:
    """session: dialect → statements that its sessions begin with. translated: a SELECT as definitions write it, and a

    dialect → the same in that dialect. guard: of what readers ask; a sync takes what it needs. lake: the folder of
    files that it computes from, or s3://bucket/prefix; empty = it has tables. lake_access: how a bucket is reached.
    times: table → column of its rows' time, as definitions say.
    """

    session: Mapping[str, Sequence[str]]
    translated: Callable[[str, str], str]
    guard: Guard = field(default_factory=Guard)
    lake: str = ""
    lake_access: S3Access = field(default_factory=S3Access)
    times: Callable[[], Mapping[str, str]] = dict
