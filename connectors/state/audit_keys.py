"""What of the audit lies outside of the state store: the key that signs it, and how far this machine has written.

Whoever can write to the store alone has neither, so what they change, add or cut off does not fit any more.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
import re
import secrets
import stat
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from connectors.errors import StateError
from connectors.reading import read_regular
from connectors.secrets import hide

log = logging.getLogger(__name__)
VARIABLE = "KPI_AUDIT_KEY"
SHORTEST = 32  # letters of a key
KEY_FILE = "audit.key"
MOST_BYTES = 1 << 16
HEAD_NOTE = "audit_head"  # of a connection: the Head that the store's writer keeps here once it has committed
DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Key:
    """A secret, and the name that entries call it by, which tells nothing of it."""

    secret: bytes
    name: str

    def sign(self, data: bytes) -> str:
        """HMAC-SHA256, in hexadecimal digits."""
        return hmac.new(self.secret, data, hashlib.sha256).hexdigest()


@dataclass(frozen=True)
class Head:
    """The last entry that somebody wrote or knows of. chain, hash: of that entry; hash is empty where it is gone."""

    sequence: int
    chain: str
    hash: str = ""

    def as_text(self) -> str:
        """As JSON, to be kept outside of the store."""
        return json.dumps(vars(self))


def head_of(text: str | bytes) -> Head:
    """What `as_text` made. Raises ValueError."""
    try:
        found = json.loads(text)
        head = Head(int(found["sequence"]), str(found["chain"]), str(found["hash"]))
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"no head: {error}") from None
    if not DIGEST.fullmatch(head.chain):
        raise ValueError("no head: its chain is none")
    return head


class AuditKeys:
    """The keys of one state store. folders: where they may lie, the best place first; none is made before it is used.
    of: tells apart whose heads lie in one folder.

    The file has a key a line, and so has the variable, parted by spaces: the last one signs, the others only prove what
    they have signed.
    """

    def __init__(self, folders: Sequence[Path], of: str = "") -> None:
        self._folders, self._head_file = tuple(folders), f"audit-{of}.head" if of else "audit.head"

    def where(self) -> str:
        """Where the key is, or will be, in words."""
        if os.environ.get(VARIABLE):
            return f"the environment ({VARIABLE})"
        place = self.file
        return str(place or (self._folders[0] / KEY_FILE if self._folders else "nowhere"))

    @property
    def file(self) -> Path | None:
        """The key file, if there is one."""
        return next((f / KEY_FILE for f in self._folders if os.path.lexists(f / KEY_FILE)), None)

    def current(self) -> Key:
        """The key that signs; made where there is none. Raises StateError."""
        known = self.known()
        return known[-1] if known else self._made()

    def known(self) -> list[Key]:
        """All keys, the one that signs last; of the variable after those of the file. Raises StateError."""
        place, found = self.file, list[str]()
        if place is not None:
            try:
                found = read_regular(place, most=MOST_BYTES).decode("ascii").split()
            except (OSError, UnicodeDecodeError) as error:
                raise _unusable(place, getattr(error, "strerror", "") or "is no text") from None
            if not found or min(map(len, found)) < SHORTEST:
                raise _unusable(place, f"has a key of fewer than {SHORTEST} letters, or none")
        said = os.environ.get(VARIABLE, "").split()
        if said and min(map(len, said)) < SHORTEST:
            raise StateError(
                f"{VARIABLE} has a key of fewer than {SHORTEST} letters",
                hint="Write one of 32 letters or more: python3 -c 'import secrets; print(secrets.token_hex(32))'",
            )
        for text in (*found, *said):
            hide(text)
        return [_key(text) for text in dict.fromkeys((*found, *said))]

    def lies_open(self) -> bool:
        """Whether others than its owner may read the key file."""
        place = self.file
        return place is not None and bool(stat.S_IMODE(place.stat().st_mode) & 0o077) and os.name == "posix"

    def head(self) -> Head | None:
        """How far this machine has written; None = it has not, or that cannot be read."""
        for folder in self._folders:
            with suppress(OSError, ValueError):
                return head_of(read_regular(folder / self._head_file, most=MOST_BYTES))
        return None

    def keep_head(self, head: Head) -> None:
        """Note how far this machine has written. Where that cannot be written, the entries are kept all the same."""
        try:
            self._write(self._head_file, head.as_text())
        except OSError as error:
            log.warning("%s could not be written: %s", self._head_file, error.strerror or error)

    def _made(self) -> Key:
        text = secrets.token_hex(32)
        try:
            self._write(KEY_FILE, f"{text}\n")
        except OSError as error:
            raise StateError(
                f"the key of the audit cannot be made: {error.strerror or error}",
                where=str(self._folders[0] if self._folders else ""),
                hint=f"Let this user write there, or set {VARIABLE} to 32 or more random letters.",
            ) from None
        hide(text)
        return _key(text)

    def _write(self, name: str, text: str) -> None:
        """Into the first folder that can be written, readable by this user only. Raises OSError if none can."""
        trouble: OSError = FileNotFoundError("there is no place for it")
        for folder in self._folders:
            fresh = folder / f".{name}-{uuid.uuid4().hex[:8]}"
            try:
                handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(handle, "w", encoding="ascii") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(handle) if name == KEY_FILE else None
                os.replace(fresh, folder / name)
                return
            except OSError as error:
                trouble = error
                with suppress(OSError):
                    fresh.unlink(missing_ok=True)
        raise trouble


def _key(text: str) -> Key:
    secret = text.encode()
    return Key(secret, Key(secret, "").sign(b"name of this key")[:16])


def _unusable(place: Path, words: str) -> StateError:
    return StateError(
        f"the key of the audit cannot be used: {words}",
        where=str(place),
        hint="Give this user the right to read it, or put the file of before back. If that is lost, move the file "
        "away: a new key is made, and `kpi audit verify` says which entries it cannot prove.",
    )
