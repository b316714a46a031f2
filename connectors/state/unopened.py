"""What can be known of a state store without opening it: SQLAlchemy alone takes a tenth of a second."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

SQLITE = "sqlite:///"


def may_hold_launches(url: str) -> bool:
    """Whether a store may hold launches that were made on a page. False only if it surely holds none.

    Of a store that is damaged, locked, of an earlier version or on a server, True: opening it tells.
    """
    path = Path(url.removeprefix(SQLITE))
    if not url.startswith(SQLITE):
        return True
    if not path.exists():
        return False
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=0)) as connection:
            return connection.execute("SELECT EXISTS (SELECT * FROM launches)").fetchall() != [(0,)]
    except (sqlite3.Error, UnicodeDecodeError):  # damage can be in what SQLite says of it
        return True
