"""What an engine says, before it runs a question, that the question would make it read."""

from __future__ import annotations

from dataclasses import dataclass

from connectors.errors import QueryLimit, counted


@dataclass(frozen=True)
class Cost:
    """An estimate of what is read of tables: rows, bytes, each where the engine tells it."""

    rows: int | None = None
    size: int | None = None

    def refuse_over(self, most_rows: int, most_bytes: int) -> None:
        """Raises QueryLimit where it is more than that; 0 = any."""
        over = []
        if most_rows and (self.rows or 0) > most_rows:
            over.append((counted(self.rows or 0, "row"), f"{most_rows:,}", "query_rows"))
        if most_bytes and (self.size or 0) > most_bytes:
            over.append((shown(self.size or 0), shown(most_bytes), "query_bytes"))
        for reads, allowed, setting in over:
            raise QueryLimit(
                f"it would read about {reads} in the engine, and {allowed} are allowed; it was not run",
                hint=f"Ask for fewer days; or allow more: `{setting}` in settings.yml.",
            )


def shown(size: int) -> str:
    """1.5 GB."""
    for unit, step in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6)):
        if size >= step:
            return f"{size / step:,.1f} {unit}"
    return f"{size / 1000:,.1f} KB"
