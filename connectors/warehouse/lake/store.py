"""Where the files of a lake are. A file is written once, under a name that no other ever has, and never changed.

It is listed for one thing only: to find files that nobody names any more. So a listing that is late is no harm.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Protocol

from connectors.errors import FolderError

OWNER = "bellwether.json"  # whose it is
SUFFIX = ".parquet"
# What is removed where nobody names it: no other's file looks like it. Table, first day, generation, number.
OURS = re.compile(rf"[^/]+/(?:all|none|changed|\d{{4}}-\d\d-\d\d)/\d{{8}}T\d{{6}}-[0-9a-f]{{8}}-\d+\{SUFFIX}")


class LakeStore(Protocol):
    """A place of one project. Names in it are paths within it, by slashes. Its methods raise OSError.

    todo: what may be done where it refuses.
    """

    todo: str

    @property
    def root(self) -> str:
        """Where it is, as engines and manifests say it."""

    def claim(self, project: str, data: Path, *, used: bool) -> None:
        """Make it this project's. data: its data folder; used: whether it had files here before.

        A copy of a project is another one for as long as the first is where it was. Raises FolderError where it is
        another's, is gone, or cannot be written.
        """

    def write(self, name: str, make: Callable[[Path], None]) -> int:
        """Have `make` write a new file, and see it kept: it is there in whole then. Returns its bytes.

        Raises what `make` does.
        """

    def sizes(self, names: Collection[str]) -> Mapping[str, int]:
        """Name → bytes, of those that are there."""

    def names(self) -> Iterator[str]:
        """All files of a lake that a listing shows."""

    def remove(self, name: str) -> None:
        """Of a file that may be gone already."""


def mine(project: str, data: Path) -> dict[str, str]:
    """What `bellwether.json` says of the project that claims a lake."""
    return {"project": project, "data": str(data.resolve())}


def owner(text: str | None) -> dict[str, str]:
    """Whose a lake is, by its `bellwether.json`; empty = nobody's."""
    if text is None:
        return {}
    try:
        found = json.loads(text)
        return {"project": str(found["project"]), "data": str(found["data"])}
    except (ValueError, KeyError, TypeError):
        return {"project": "unknown", "data": f"{OWNER} cannot be read"}


def refuse_another_s(found: Mapping[str, str], claimed: Mapping[str, str], root: str) -> None:
    """Raises FolderError for a lake that is another project's, or another copy's."""
    another = found.get("project", claimed["project"]) != claimed["project"]
    copied = found.get("data", claimed["data"]) != claimed["data"] and Path(found["data"]).is_dir()
    if another or copied:
        hint = f"Name another place in `lake`. If that project is gone, remove {OWNER} there."
        raise FolderError(f"this lake is another project's: {found['data']}", where=root, hint=hint)


def place(root: str, name: str) -> str:
    """Where engines find a file."""
    return f"{root.rstrip('/')}/{name}"
