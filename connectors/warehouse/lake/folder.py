"""The folder of a lake. A file in it is written once, under a name that no other ever has, and never changed.

It is listed for one thing only: to find files that nobody names any more. So a listing that is late is no harm.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from connectors.errors import FolderError, SettingsError
from connectors.warehouse.on_disk import fsync

OWNER = "bellwether.json"  # whose it is
SUFFIX = ".parquet"
GLOB = frozenset("*?[]{},'\"\\`%#")  # which mean something else to one engine or another


def refuse_no_folder(lake: str) -> None:
    """Raises SettingsError for what cannot be the folder of a lake."""
    if "://" in lake:
        hint = "Mount it, and write the folder: such as /mnt/shared/bellwether, the same path where the engine runs."
        raise SettingsError("a lake is a folder; addresses such as s3:// are not read yet", hint=hint)
    if wrong := sorted(GLOB & set(lake)):
        raise SettingsError(f"the path of a lake may not have {wrong[0]}", hint="Engines read that as a pattern.")


class LakeFolder:
    """One folder, of one project. Names in it are paths within it, by slashes. Its methods raise OSError."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def claim(self, project: str, data: Path, *, used: bool) -> None:
        """Make it this project's. data: its data folder; used: whether it had files here before.

        A copy of a project is another one for as long as the first is where it was. Raises FolderError where it is
        another's, is gone, or cannot be written.
        """
        mine = {"project": project, "data": str(data.resolve())}
        try:
            if used and not self.root.is_dir():
                hint = "Is its disk mounted? If it is gone for good, make the folder: all files are written anew then."
                raise FolderError("the lake is not there", where=str(self.root), hint=hint)
            self.root.mkdir(exist_ok=True)
            owner = self._owner()
            another = owner.get("project", project) != project
            copied = owner.get("data", mine["data"]) != mine["data"] and Path(owner["data"]).is_dir()
            if not another and not copied and owner != mine:
                fresh = self.root / f".{OWNER}"
                fresh.write_text(json.dumps(mine))
                fsync(fresh)
                os.replace(fresh, self.root / OWNER)
                fsync(self.root)
        except OSError as error:
            hint = (
                "Its parent must be there, and this user must be able to write to it. What was published is as it was."
            )
            raise FolderError(
                f"the lake cannot be written: {error.strerror or error}", where=str(self.root), hint=hint
            ) from error
        if another or copied:
            hint = f"Name a folder of its own in `lake`. If that project is gone, remove {OWNER} from the folder."
            raise FolderError(f"this lake is another project's: {owner['data']}", where=str(self.root), hint=hint)

    def write(self, name: str, make: Callable[[Path], None]) -> int:
        """Have `make` write a new file, and see it on the disk. Returns its bytes. Raises what `make` does."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        make(path)
        for one in (path, *path.parents):
            fsync(one)
            if one == self.root:
                break
        return path.stat().st_size

    def size(self, name: str) -> int | None:
        """Bytes of a file; None = it is not there."""
        try:
            return (self.root / name).stat().st_size
        except OSError:
            return None

    def names(self) -> Iterator[str]:
        """All files of the lake that a listing shows. Links are not followed."""
        for folder, _, files in os.walk(self.root):
            for file in files:
                if file.endswith(SUFFIX):
                    yield (Path(folder) / file).relative_to(self.root).as_posix()

    def remove(self, name: str) -> None:
        """Of a file that may be gone already; and the folders that are empty without it."""
        path = self.root / name
        path.unlink(missing_ok=True)
        with suppress(OSError):
            for folder in path.parents:
                if folder == self.root:
                    break
                folder.rmdir()

    def place(self, name: str) -> str:
        """Where engines find a file."""
        return str(self.root / name)

    def _owner(self) -> dict[str, str]:
        """Whose it is; empty = nobody's."""
        try:
            text = (self.root / OWNER).read_text()
        except FileNotFoundError:
            return {}
        try:
            found = json.loads(text)
            return {"project": str(found["project"]), "data": str(found["data"])}
        except (ValueError, KeyError, TypeError):
            return {"project": "unknown", "data": f"{OWNER} cannot be read"}
