"""How the texts of one column are read: found over all its rows, or stated in sources.yml."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class TextReading:
    """role: the key of sources.yml that states it. style: a value of it (dates.STYLES or a pattern, numbers.STYLES).

    kind: SQL type that the column gets. doubt: what no row decides and how to state it, a sentence; empty = nothing.
    note: what was read how, a sentence for people. column: of the source. currencies: of its numbers,
    at any load.
    """

    role: Literal["dates", "numbers"]
    style: str
    kind: str
    doubt: str = ""
    note: str = ""
    column: str = ""
    currencies: tuple[str, ...] = ()

    @property
    def mixed(self) -> str:
        """That it holds several currencies, a sentence; empty = it does not."""
        if len(self.currencies) < 2:
            return ""
        return f"'{self.column}' holds several currencies ({', '.join(self.currencies)}): a sum of it means nothing"

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)
