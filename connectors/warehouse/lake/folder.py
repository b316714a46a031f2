"""A lake that is a folder: files are on the disk, with the folders they are in, before anybody names them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from pathlib import Path

from connectors.errors import FolderError
from connectors.warehouse.lake.store import OURS, OWNER, mine, owner, refuse_another_s
from connectors.warehouse.on_disk import fsync


class LakeFolder:
    """A LakeStore in a folder that is mounted here and where the engine runs."""

    todo = "Make room, or give this user the right to write."

    def __init__(self, root: Path) -> None:
        self._folder = root

    @property
    def root(self) -> str:
        """Its path."""
        return str(self._folder)

    def claim(self, project: str, data: Path, *, used: bool) -> None:
        """See LakeStore. Its parent must be there."""
        claimed = mine(project, data)
        try:
            if used and not self._folder.is_dir():
                hint = "Is its disk mounted? If it is gone for good, make the folder: all files are written anew then."
                raise FolderError("the lake is not there", where=self.root, hint=hint)
            self._folder.mkdir(exist_ok=True)
            found = owner(self._owner())
            refuse_another_s(found, claimed, self.root)
            if found != claimed:
                fresh = self._folder / f".{OWNER}"
                fresh.write_text(json.dumps(claimed))
                fsync(fresh)
                os.replace(fresh, self._folder / OWNER)
                fsync(self._folder)
        except OSError as error:
            hint = (
                "Its parent must be there, and this user must be able to write to it. What was published is as it was."
            )
            raise FolderError(
                f"the lake cannot be written: {error.strerror or error}", where=self.root, hint=hint
            ) from error

    def write(self, name: str, make: Callable[[Path], None]) -> int:
        """See LakeStore: it is on the disk then."""
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        make(path)
        for one in (path, *path.parents):
            fsync(one)
            if one == self._folder:
                break
        return path.stat().st_size

    def sizes(self, names: Collection[str]) -> dict[str, int]:
        """Name → bytes, of those that are there."""
        found = {}
        for name in names:
            with suppress(OSError):
                found[name] = (self._folder / name).stat().st_size
        return found

    def names(self) -> Iterator[str]:
        """See LakeStore. Links are not followed."""
        for folder, _, files in os.walk(self._folder):
            for file in files:
                name = (Path(folder) / file).relative_to(self._folder).as_posix()
                if OURS.fullmatch(name):
                    yield name

    def remove(self, name: str) -> None:
        """See LakeStore; and the folders that are empty without it."""
        path = self._folder / name
        path.unlink(missing_ok=True)
        with suppress(OSError):
            for folder in path.parents:
                if folder == self._folder:
                    break
                folder.rmdir()

    def _owner(self) -> str | None:
        try:
            return (self._folder / OWNER).read_text()
        except FileNotFoundError:
            return None
