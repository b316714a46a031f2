"""A lake that is a bucket, or a prefix of one: files are made here and sent as one object each. Arrow's own client."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from connectors.buckets import PIECE, S3Access, s3_store
from connectors.errors import FolderError, counted
from connectors.secrets import hide, mask
from connectors.warehouse.engines.files import S3
from connectors.warehouse.lake.store import OURS, OWNER, mine, owner, place, refuse_another_s

if TYPE_CHECKING:
    from pyarrow.fs import S3FileSystem

USUAL_REGION = "us-east-1"  # of stores that have none
MADE = ".lake.parquet"  # in the data folder: a file before it is sent; the next sync removes what one that died left


class LakeBucket:
    """A LakeStore in an object store that speaks S3. An object is there in whole or not at all, and once it is sent."""

    todo = "Look at the bucket, and whether the key may put objects there."

    def __init__(self, address: str, access: S3Access, data: Path) -> None:
        """address: s3://bucket/prefix. data: the project's data folder, for a file at a time on its way."""
        self._address, self._made = address.rstrip("/"), data / MADE
        self._access = access.model_copy(update={"region": access.region or USUAL_REGION})
        hide(access.secret_key)

    @property
    def root(self) -> str:
        """Its address."""
        return self._address

    def claim(self, project: str, data: Path, *, used: bool) -> None:  # noqa: ARG002
        """See LakeStore. The bucket must be there; whether files were here before is no matter: no disk can be away."""
        claimed = mine(project, data)
        self._made.unlink(missing_ok=True)
        with self._refused():
            found = owner(self._owner())
            refuse_another_s(found, claimed, self.root)
            if found != claimed:
                self._put(OWNER, json.dumps(claimed).encode())

    def try_out(self) -> None:
        """Write an object, read it, list and remove it, as a sync does. Raises FolderError where that is refused."""
        name = f"bellwether-{uuid.uuid4().hex}"
        with self._refused():
            self._owner()
            self._put(name, b"tried")
            for _ in self.names():
                break
            self.remove(name)

    def write(self, name: str, make: Callable[[Path], None]) -> int:
        """See LakeStore: the store says how large it is then."""
        try:
            self._made.unlink(missing_ok=True)
            make(self._made)
            size = self._made.stat().st_size
            self._send(name)
        finally:
            self._made.unlink(missing_ok=True)
        if (there := self.sizes([name]).get(name, 0)) != size:
            raise OSError(f"of {counted(size, 'byte')} of {name} the store has {there:,}")
        return size

    def sizes(self, names: Collection[str]) -> dict[str, int]:
        """Name → bytes, of those that are there."""
        from pyarrow.fs import FileType

        keys = {self._key(name): name for name in names}
        with _told():
            found = self._store.get_file_info(list(keys))
        return {keys[one.path]: one.size for one in found if one.type == FileType.File}

    def names(self) -> Iterator[str]:
        """See LakeStore."""
        from pyarrow.fs import FileSelector

        with _told():
            listed = self._store.get_file_info(FileSelector(self._key(""), recursive=True, allow_not_found=True))
        for one in listed:
            name = one.path.removeprefix(f"{self._key('')}/")
            if OURS.fullmatch(name):
                yield name

    def remove(self, name: str) -> None:
        """See LakeStore. Arrow leaves an empty object in the place of its folder."""
        with suppress(FileNotFoundError), _told():
            self._store.delete_file(self._key(name))

    @cached_property
    def _store(self) -> S3FileSystem:
        return s3_store(self._access)

    def _key(self, name: str) -> str:
        """Bucket and key."""
        return place(self.root.removeprefix(S3), name).rstrip("/")

    def _owner(self) -> str | None:
        try:
            with _told(), self._store.open_input_stream(self._key(OWNER)) as source:
                return bytes(source.read()).decode(errors="replace")
        except FileNotFoundError:
            return None

    def _put(self, name: str, content: bytes) -> None:
        with _told(), self._store.open_output_stream(self._key(name)) as target:
            target.write(content)

    def _send(self, name: str) -> None:
        with (
            _told(),
            self._made.open("rb") as source,
            self._store.open_output_stream(self._key(name)) as target,
        ):
            shutil.copyfileobj(source, target, PIECE)

    @contextmanager
    def _refused(self) -> Iterator[None]:
        """Raises FolderError for what the store refuses."""
        try:
            yield
        except OSError as error:
            hint = f"{self.todo} What was published is as it was."
            raise FolderError(f"the lake cannot be written: {error}", where=self.root, hint=hint) from None


@contextmanager
def _told() -> Iterator[None]:
    """What the store answers as OSError, in short and without a secret. FileNotFoundError stays what it is."""
    from pyarrow import ArrowException

    try:
        yield
    except FileNotFoundError:
        raise
    except (OSError, ArrowException) as error:
        raise OSError(mask(str(error))[:300]) from None
