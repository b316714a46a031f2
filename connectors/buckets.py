"""Files in object stores, s3://, gs:// and az://: what matches a pattern, and copies of them. Arrow's own clients."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from connectors.errors import OutboundRefused, SourceError
from connectors.outbound import checked
from connectors.secrets import hide, mask

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem, S3FileSystem

SCHEMES = ("s3", "gs", "az")
ATTEMPTS, PATIENCE = 4, timedelta(seconds=30)  # of S3's and of Google's client
PIECE = 1 << 22


class S3Access(BaseModel):
    """How a store that speaks S3 is reached. Without keys by those of the machine: its environment, files or role."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    region: str = Field("", description="S3: region of the bucket.")
    access_key: str = Field("", repr=False, description="S3: access key id, as ${NAME}.")
    secret_key: str = Field("", repr=False, description="S3: its secret, as ${NAME}.")
    endpoint: str = Field("", description="Address of a store that speaks like one of them, such as http://minio:9000.")


class Access(S3Access):
    """How an object store of any kind is reached."""

    account: str = Field("", description="Azure: name of the storage account.")
    account_key: str = Field("", repr=False, description="Azure: its key, as ${NAME}.")
    sas_token: str = Field(
        "", repr=False, description="Azure: a shared access signature, as ${NAME}, in place of the key."
    )
    anonymous: bool = Field(False, description="S3, Google: a public bucket, asked without a key.")


@dataclass(frozen=True)
class Found:
    """A file of a bucket. path: bucket and key. mark: another one when its content was written anew."""

    path: str
    mark: str


def is_bucket(path: str) -> bool:
    """Whether a path is one of an object store."""
    return path.partition("://")[0] in SCHEMES and "://" in path


class Bucket:
    """What a pattern such as s3://shop/exports/**/*.csv names."""

    def __init__(self, pattern: str, access: Access, *, where: str, allow: tuple[str, ...]) -> None:
        """allow: `outbound_hosts` of the settings."""
        self._scheme, _, self._pattern = pattern.partition("://")
        self._access, self._where, self._allow = access, where, allow
        self._proxy = ""
        for key in (access.secret_key, access.account_key, access.sas_token):
            hide(key)

    def files(self) -> dict[str, Found]:
        """Address → file, of those that match, by name. Raises SourceError, also where none does."""
        from pyarrow.fs import FileSelector, FileType

        parts = self._pattern.split("/")
        fixed = next((n for n, part in enumerate(parts) if any(mark in part for mark in "*?[")), len(parts))
        base, deep = "/".join(parts[: max(fixed, 1)]), len(parts) > fixed + 1 or "**" in parts
        with self._told():
            if fixed == len(parts):  # one file: its bucket may have a million others
                listed = self._store().get_file_info([base])
            else:
                listed = self._store().get_file_info(FileSelector(base, recursive=deep, allow_not_found=True))
        found = {
            f"{self._scheme}://{item.path}": Found(item.path, f"{item.size}:{item.mtime_ns}")
            for item in sorted(listed, key=lambda item: item.path)
            if item.type == FileType.File and _matches(item.path.split("/"), parts)
        }
        if not found:
            raise SourceError(
                f"no file matches {self._scheme}://{self._pattern}",
                where=self._where,
                hint=f"Looked below {self._scheme}://{base}, where {len(listed)} things are.",
            )
        return found

    @contextmanager
    def copy(self, found: Found, path: Path) -> Iterator[Path]:
        """A copy of one file at `path` until the block ends. Raises SourceError, retryable."""
        with self._told(), self._store().open_input_stream(found.path) as source, path.open("wb") as target:
            shutil.copyfileobj(source, target, PIECE)
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    @contextmanager
    def _told(self) -> Iterator[None]:
        from pyarrow import ArrowException

        from connectors.outbound_proxy import proxy

        with ExitStack() as stack:
            # S3's client follows redirects by itself, and not only its makers' servers could send one.
            door = stack.enter_context(proxy(self._allow)) if self._scheme == "s3" and self._access.endpoint else None
            self._proxy = door.url if door else ""
            try:
                yield
            except (OSError, ArrowException) as error:
                if door is not None and door.refused:
                    refused = door.refused[0]
                    raise OutboundRefused(refused.message, where=self._where, hint=refused.hint) from None
                raise SourceError(
                    f"{self._scheme}://{self._pattern} cannot be read: {mask(str(error))[:300]}",
                    where=self._where,
                    hint="Look at the bucket's name and region, and whether the key may list and read it.",
                    retryable=True,
                ) from None

    def _refuse_host(self) -> None:
        """Raises OutboundRefused."""
        try:
            checked(*_host(self._scheme, self._access), self._allow, private=True)
        except OutboundRefused as error:
            raise OutboundRefused(error.message, where=self._where, hint=error.hint) from None

    def _store(self) -> FileSystem:
        """Raises SourceError for an account that is missing; OutboundRefused."""
        from pyarrow import fs

        access = self._access
        if self._scheme == "az" and not access.account:
            raise SourceError(
                "az:// needs the storage account", where=self._where, hint="Write `access: {account: …}`."
            )
        self._refuse_host()
        if self._scheme == "s3":
            return s3_store(access, anonymous=access.anonymous, proxy=self._proxy)
        scheme, place = _endpoint(access)
        if self._scheme == "gs":
            return fs.GcsFileSystem(
                anonymous=access.anonymous, scheme=scheme, endpoint_override=place, retry_time_limit=PATIENCE
            )
        own = {"account_key": access.account_key} if access.account_key else {}
        own |= {"sas_token": access.sas_token} if access.sas_token else {}
        placed = {
            f"{kind}_storage_{what}": said
            for kind in ("blob", "dfs")
            for what, said in (("authority", place), ("scheme", scheme))
            if said
        }
        return fs.AzureFileSystem(access.account, **own, **placed)


def _host(scheme: str, access: Access) -> tuple[str, int]:
    """Name and port of the server that a store is asked at."""
    address = urlsplit(access.endpoint)
    if address.netloc:
        plain = address.netloc if "@" in address.netloc else address.hostname or ""  # who reads it as what differs
        return plain, address.port or (80 if address.scheme == "http" else 443)
    if scheme == "s3":
        return f"s3.{access.region}.amazonaws.com" if access.region else "s3.amazonaws.com", 443
    return ("storage.googleapis.com" if scheme == "gs" else f"{access.account}.blob.core.windows.net"), 443


def s3_store(access: S3Access, *, anonymous: bool = False, proxy: str = "") -> S3FileSystem:
    """Arrow's client of a store that speaks S3. Connects to nothing. proxy: address of one that connects for it."""
    from pyarrow import fs

    scheme, place = _endpoint(access)
    keys = {"access_key": access.access_key, "secret_key": access.secret_key} if access.access_key else {}
    return fs.S3FileSystem(
        **keys,
        anonymous=anonymous,
        region=access.region or None,
        scheme=scheme,
        endpoint_override=place,
        proxy_options=proxy or None,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS),
        allow_delayed_open=True,  # what is small is one request, and no upload that could be left unfinished
    )


def _endpoint(access: S3Access) -> tuple[str | None, str | None]:
    """Scheme and host of the endpoint; None = the store's own."""
    address = urlsplit(access.endpoint)
    return address.scheme or None, address.netloc or None


def _matches(path: list[str], pattern: list[str]) -> bool:
    """Whether a path matches, part by part; ** is any number of parts."""
    if not pattern or not path:
        return not path and all(part == "**" for part in pattern)
    if pattern[0] == "**":
        return _matches(path, pattern[1:]) or _matches(path[1:], pattern)
    return fnmatchcase(path[0], pattern[0]) and _matches(path[1:], pattern[1:])
