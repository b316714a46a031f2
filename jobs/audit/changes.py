"""Which definitions differ between two generations, and, where git knows, by which commit of whom."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from connectors.state.audit import Act

KINDS = ("kpi", "dataset")  # what a generation's texts are of, beside what others keep there
SECONDS = 5.0  # that git may take for all of a sync's definitions
# Nothing of a project's own configuration is run: no hook, no program that shows or signs.
GIT = ("git", "-c", "core.fsmonitor=false", "-c", "log.showSignature=false", "--no-optional-locks")


def changes(before: Mapping[str, str], after: Mapping[str, str], folder: Path, who: str) -> Iterator[Act]:
    """An act for each definition that was added, changed or taken away. before, after: "kpi:name" → text."""
    differing = [
        key for key in sorted({*before, *after}) if key.partition(":")[0] in KINDS and before.get(key) != after.get(key)
    ]
    commits = commits_of(folder, differing)
    for key in differing:
        told = {"old": _digest(before.get(key)), "new": _digest(after.get(key)), **commits.get(key, {})}
        yield Act("definition_changed", key, who, told, "sync")


def commits_of(folder: Path, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Key → commit and author of its file, where git knows them. uncommitted: the file differs from that."""
    ends, found = time.monotonic() + SECONDS, dict[str, dict[str, Any]]()
    for key in keys:
        kind, _, name = key.partition(":")
        file = f"{kind}s/{name}.yml"
        said = _git(folder, ends, "log", "-1", "--no-show-signature", "--format=%h%x00%an <%ae>", "--", file)
        commit, _, author = said.strip().partition("\0")
        if commit:
            found[key] = {"commit": commit, "author": author}
            if _git(folder, ends, "status", "--porcelain", "--", file):
                found[key]["uncommitted"] = True
    return found


def _git(folder: Path, ends: float, *arguments: str) -> str:
    """What git says; empty where it is not there, knows nothing of it, or has no time left."""
    left = ends - time.monotonic()
    if left <= 0:
        return ""
    # Nobody is asked for a password.
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            [*GIT, "-C", str(folder), *arguments],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=left,
            env=environment,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""


def _digest(text: str | None) -> str | None:
    """A text's SHA-256, its first digits; None where there is none."""
    return None if text is None else sha256(text.encode()).hexdigest()[:12]
