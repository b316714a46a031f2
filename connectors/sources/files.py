"""Files: CSV, TSV, JSON, JSONL, Parquet, each also gzipped; a path, a glob or an address."""

from __future__ import annotations

import csv
import glob
import gzip
import hashlib
import io
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Literal

import httpx
from pydantic import Field

from connectors.buckets import Access, Bucket, Found, is_bucket
from connectors.clock import disk_skew
from connectors.errors import OutboundRefused, SourceError, counted
from connectors.outbound_http import guarded_client
from connectors.reading import mark_of, refusal
from connectors.secrets import mask
from connectors.sources.contract import MOST_COMMENTS, Batch, Cursor, FileScan, Source, SourceOptions

FORMATS: dict[str, Literal["csv", "json", "parquet"]] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".parquet": "parquet",
}
DELIMITERS = ",\t;|"
UTF8 = ("utf-8", "utf8", "utf-8-sig")
TIMEOUT_SECONDS = 60
COARSEST_TIME = timedelta(seconds=2)  # between two times that a file system can tell apart


class FileOptions(SourceOptions):
    """Options of `type: files`."""

    path: str = Field(
        description="File or glob, relative to the project folder or absolute; an http(s) address; or a glob of an "
        "object store: s3://, gs:// or az://."
    )
    access: Access = Field(default_factory=Access, description="Of an object store: its keys, region or endpoint.")
    delimiter: str = Field("", description="Separator of CSV columns; default found in the header line.")
    encoding: str = Field("utf-8", description="Any encoding Python knows, such as latin-1.")
    null_values: tuple[str, ...] = Field(("",), description="CSV texts that mean unknown.")
    date_format: str = Field("", description="strptime pattern of dates, such as %d/%m/%Y.")
    text_columns: tuple[str, ...] = Field((), description="Columns kept as text: ids with leading zeros.")
    decimal: str = Field(".", pattern=r"^[.,]$", description="Mark before the decimals of CSV numbers: . or ,")
    types: dict[str, str] = Field(
        default_factory=dict, description="Column → SQL type; rows that do not fit go to quarantine."
    )


class Files(Source):
    """Rows of one file or of all files that a glob finds, in name order."""

    Options = FileOptions
    example = "- {name: orders, type: files, table: orders, path: exports/orders-*.csv.gz}"
    watermark = "data"

    def pull(self, cursor: Cursor) -> Iterator[Batch]:
        """Yield each file whose content is new or changed; the cursor keeps a mark per file.

        With `load: replace`, a changed or vanished file restarts the table from all files,
        so its old rows go; new files alone are added. One that has another name is the file that it was.
        """
        if self.options.path.startswith(("http://", "https://")):
            yield from self._pull_address(cursor)
            return
        found = self._found()
        marks = {name: self._mark(place, cursor.get(name, "")) for name, place in found.items()}
        moved = _moved(cursor, {name: mark for name, mark in marks.items() if isinstance(found[name], Path)})
        elsewhere = set(moved.values())
        stayed = {name for name in marks if name in cursor and name not in moved and name not in elsewhere}
        before = {name: cursor[moved.get(name, name)] for name in marks if name in moved or name in stayed}
        gone = {name: mark for name, mark in cursor.items() if name not in stayed and name not in elsewhere}
        changed = [name for name, mark in marks.items() if not _same(before.get(name, ""), mark)]
        restart = self.options.load_mode == "replace" and (bool(gone) or any(name in before for name in changed))
        done = {} if restart else {name: mark if name in changed else marks[name] for name, mark in before.items()}
        if not changed and not restart and {**gone, **done} != dict(cursor):
            self.reached = {**gone, **done}
        for name in sorted(marks) if restart else sorted(changed):
            done[name] = marks[name]
            yield from self._batches(name, found[name], dict(done), restart=restart)
            restart = False

    def look(self) -> Iterator[Batch]:
        """Each file, without a mark of its content, which takes a second reading of it."""
        if self.options.path.startswith(("http://", "https://")):
            yield from self.pull({})
            return
        for name, place in sorted(self._found().items()):
            yield from self._batches(name, place, {})

    def probe(self) -> str:
        """How many files there are. An address is not asked."""
        if self.options.path.startswith(("http://", "https://")):
            return "an address; it is asked at the next sync"
        found = self._found()
        for place in found.values():
            if isinstance(place, Path):
                with _told(place, self.options.name), place.open("rb") as file:
                    file.read(1)
        return counted(len(found), "file")

    def size(self) -> int:
        """Bytes of its files. Those that are packed, at an address or in an object store, are not known."""
        if "://" in self.options.path:
            return 0
        paths = [place for place in self._found().values() if isinstance(place, Path)]
        packed = any(path.suffix == ".gz" or file_format(path) == "parquet" for path in paths)
        return 0 if packed else sum(path.stat().st_size for path in paths)

    def _bucket(self) -> Bucket:
        return Bucket(self.options.path, self.options.access, where=f"source {self.options.name}", allow=self.allow)

    def _mark(self, place: Path | Found, previous: str) -> str:
        """Of an object its size and time are the digest, too: it is never changed, but written anew."""
        if isinstance(place, Found):
            return f"{place.mark}:{place.mark.replace(':', '-')}"
        with _told(place, self.options.name):
            return content_mark(place, previous)

    def _found(self) -> Mapping[str, Path | Found]:
        if is_bucket(self.options.path):
            return self._bucket().files()
        pattern = str(self.folder / Path(self.options.path).expanduser())
        matches = sorted(Path(p) for p in glob.glob(pattern, recursive=True))
        for path in matches:
            _refuse_what_is_no_file(path, self.options.name)
        paths = [path for path in matches if path.is_file()]
        if not paths:
            raise SourceError(
                f"no file matches {self.options.path}",
                where=f"source {self.options.name}",
                hint=f"Looked for {pattern}. Put the file there, or fix `path` in sources.yml.",
            )
        return {_name(path, self.folder): path for path in paths}

    def _batches(self, name: str, place: Path | Found, cursor: Cursor, *, restart: bool = False) -> Iterator[Batch]:
        """The one batch of a file, whose readable copy is there until the next is asked for."""
        with self._near(place) as path, self._readable(path) as readable:
            with _told(path, self.options.name):
                scan = self._scan(readable, name)
            yield Batch(self.options.table, scan, cursor, restart)

    @contextmanager
    def _near(self, place: Path | Found) -> Iterator[Path]:
        """A file of this machine: the one, or a copy of an object."""
        if isinstance(place, Path):
            yield place
            return
        name = place.path.rpartition("/")[2]
        with tempfile.TemporaryDirectory() as folder, self._bucket().copy(place, Path(folder) / name) as path:
            yield path

    def _scan(self, path: Path, origin: str) -> FileScan:
        kind = file_format(Path(origin), where=f"source {self.options.name}")
        delimiter = self.options.delimiter or (header_delimiter(path) if kind == "csv" else ",")
        return FileScan(
            path,
            origin,
            kind,
            delimiter,
            self.options.null_values,
            self.options.date_format,
            self.options.text_columns,
            self.options.types,
            self.options.decimal,
            self.now,
        )

    @contextmanager
    def _readable(self, path: Path) -> Iterator[Path]:
        """`path` itself, or a copy that the warehouse's readers can read: UTF-8, Parquet not gzipped."""
        encoding = self.options.encoding
        with _told(path, self.options.name):
            if path.stat().st_size == 0:
                raise SourceError(
                    f"{path.name} is empty",
                    where=f"source {self.options.name}",
                    hint="Not even a header: the export was probably cut. Nothing was changed.",
                )
            is_csv = file_format(path) == "csv"
            if is_csv and encoding.lower() in UTF8 and _starts_as_utf16(path):
                encoding = "utf-16"
            transcode = is_csv and (encoding.lower() not in UTF8 or _mixes_line_ends(path))
        unpack = path.suffixes[-2:] == [".parquet", ".gz"]
        if not (transcode or unpack):
            yield path
            return
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / (path.name.removesuffix(".gz"))
            try:
                _copy_readable(path, copy, encoding if transcode else "")
            except (LookupError, UnicodeError, OSError, EOFError) as error:
                raise SourceError(
                    f"{path.name} cannot be read as {encoding}: {error}",
                    where=f"source {self.options.name}",
                    hint="Set `encoding`, such as latin-1 or utf-16.",
                ) from error
            yield copy

    def _pull_address(self, cursor: Cursor) -> Iterator[Batch]:
        name = self.options.path.split("?")[0].rsplit("/", 1)[-1]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            download(self.options.path, path, where=f"source {self.options.name}", allow=self.allow)
            mark = content_mark(path, "")
            address = mask(self.options.path)  # cursors are kept, and read in many places
            if not _same(cursor.get(address, ""), mark):
                restart = self.options.load_mode == "replace" and bool(cursor)
                with self._readable(path) as readable:
                    yield Batch(self.options.table, self._scan(readable, mask(name)), {address: mark}, restart)


def _refuse_what_is_no_file(path: Path, source: str) -> None:
    """A named pipe would wait for its writer for ever. A folder among the matches is only passed over."""
    with _told(path, source):
        words = "" if path.is_dir() else refusal(path)
    if words:
        hint = "Put a plain file in its place, or take it away. Nothing was changed."
        raise SourceError(f"{path.name} {words}", where=f"source {source}", hint=hint)


@contextmanager
def _told(path: Path, source: str) -> Iterator[None]:
    """What the system says about a file, as an error that a user can mend."""
    try:
        yield
    except (OSError, EOFError, zlib.error) as error:
        words = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise SourceError(
            f"{path.name} cannot be read: {words}",
            where=f"source {source}",
            hint="Look at its rights, and whether it was written to its end.",
        ) from error


def _starts_as_utf16(path: Path) -> bool:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as file:
        return file.read(2) in (b"\xff\xfe", b"\xfe\xff")


def _mixes_line_ends(path: Path) -> bool:
    """Whether lines end now with, now without a carriage return: no reader takes that as it is."""
    found, last = set(), b""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as file:
        while chunk := file.read(1 << 20):
            pairs = (last + chunk).count(b"\r\n") if b"\r" in chunk or last else 0  # most files have none
            lines = chunk.count(b"\n") if pairs else int(b"\n" in chunk)
            found |= ({"\n"} if lines > pairs else set()) | ({"\r\n"} if pairs else set())
            if len(found) > 1:
                return True
            last = b"\r" if chunk.endswith(b"\r") else b""
    return False


def download(address: str, path: Path, *, where: str, allow: tuple[str, ...]) -> None:
    """Save what http(s) `address` answers as `path`, byte by byte. Raises SourceError, retryable; OutboundRefused.

    User and password of the address are not sent to another host that the answer redirects to.
    """
    if not address.startswith(("http://", "https://")):
        raise SourceError(f"{address} is not an http address", where=where, hint="It starts with http:// or https://.")
    asked = {"headers": {"Accept-Encoding": "identity"}, "timeout": TIMEOUT_SECONDS, "follow_redirects": True}
    words = ""
    try:
        with (
            guarded_client(allow, private=True, **asked) as client,
            client.stream("GET", address) as answer,
            path.open("wb") as file,
        ):
            if answer.is_success:
                for piece in answer.iter_raw():
                    file.write(piece)
            else:
                words = f"HTTP {answer.status_code} {answer.reason_phrase}"
    except OutboundRefused as error:
        raise OutboundRefused(error.message, where=where, hint=error.hint) from None
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        words = str(error) or type(error).__name__
    if words:
        hint = "Try again, or download it by hand."
        raise SourceError(f"{address} did not answer: {words}", where=where, hint=hint, retryable=True)


def file_format(path: Path, *, where: str = "") -> Literal["csv", "json", "parquet"]:
    """The format that the file's name tells. Raises SourceError for an unknown ending."""
    ending = _ending(path)
    if ending not in FORMATS:
        raise SourceError(
            f"{path.name} ends in '{ending}', which is not known",
            where=where,
            hint=f"Known endings: {', '.join(FORMATS)}, each also with .gz.",
        )
    return FORMATS[ending]


def _ending(path: Path) -> str:
    """What a file's name ends in, but for `.gz`."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    return suffixes[-2] if suffixes[-1:] == [".gz"] and len(suffixes) > 1 else (suffixes or [""])[-1]


def header_delimiter(path: Path) -> str:
    """The delimiter that cuts the header line into most columns; a comma where none does.

    Only the header decides: a sniffer that weighs all rows is led astray by one broken row. Comments before it do not.
    """
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as file:
        lines = (file.readline(1 << 20).decode("utf-8-sig", "replace") for _ in range(MOST_COMMENTS))
        header = next((line for line in lines if line.strip() and not line.startswith("#")), "")
    cuts = {mark: len(next(csv.reader(io.StringIO(header), delimiter=mark), [])) for mark in DELIMITERS}
    return max(DELIMITERS, key=lambda mark: cuts[mark])


def content_mark(path: Path, previous: str) -> str:
    """`size:times:digest` of the file; the digest is reused when size and times are as in `previous`.

    Of the times the second is the system's own: a copy or an unpacked file may have the first one of what it replaces.
    A file that was written just now has none: it may be written once more before its time is another.
    """
    size, written, changed, _ = mark_of(path)
    settled = abs(disk_skew(max(written, changed) / 1e9)) > COARSEST_TIME
    head = f"{size}:{written}-{changed}" if settled else f"{size}:"
    if settled and previous.rpartition(":")[0] == head:
        return previous
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return f"{head}:{digest.hexdigest()}"


def _moved(cursor: Cursor, marks: Mapping[str, str]) -> dict[str, str]:
    """New name → old one, of files that only have another name: the same bytes, read by the same reader."""
    same = {name for name, mark in marks.items() if _same(cursor.get(name, ""), mark)}
    left: dict[tuple[object, ...], list[str]] = {}
    for name in sorted(set(cursor) - same, reverse=True):
        left.setdefault(_read_as(name, cursor[name]), []).append(name)
    fresh = ((name, left.get(_read_as(name, marks[name]))) for name in sorted(set(marks) - same))
    return {name: old.pop() for name, old in fresh if old}


def _read_as(name: str, mark: str) -> tuple[object, ...]:
    """What makes the rows of a file: its size and content, and how it is read."""
    head, _, digest = mark.rpartition(":")
    return head.partition(":")[0], digest, FORMATS.get(_ending(Path(name))), name.lower().endswith(".gz")


def _same(old: str, new: str) -> bool:
    return old.rpartition(":")[2] == new.rpartition(":")[2] and bool(old)


def _name(path: Path, folder: Path) -> str:
    try:
        return str(path.resolve().relative_to(folder.resolve()))
    except ValueError:
        return str(path)


def _copy_readable(path: Path, copy: Path, encoding: str) -> None:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as source:
        if not encoding:
            with copy.open("wb") as target:
                shutil.copyfileobj(source, target)
            return
        text = io.TextIOWrapper(
            source, encoding=encoding, errors="surrogateescape"
        )  # line ends of all makes become one
        with copy.open("w", encoding="utf-8", newline="", errors="surrogateescape") as out:
            shutil.copyfileobj(text, out)
