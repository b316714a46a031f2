"""Which generation is live where the pointer or files are damaged, and how that is mended.

Readers only choose, and write nothing; a sync and `kpi doctor --repair` mend. Nothing that was published is deleted
because something else is damaged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from connectors.errors import DamagedData, FolderError, KpiError
from connectors.warehouse.contract import Check
from connectors.warehouse.duckdb.generations import Generations
from connectors.warehouse.duckdb.notes import noted
from connectors.warehouse.duckdb.verifying import Finding, Open, glance, in_whole, opened

RESTORE = (
    "Restore a backup (`kpi restore FILE.zip DIR`). `kpi sync --anew` begins without what was published; "
    "it puts the damaged files aside, into data/damaged, and deletes none."
)
Look = Callable[[Path], Finding]


@dataclass(frozen=True)
class Chosen:
    """What is read. path: None before the first publish. faults: what is wrong, in sentences; bad: the files."""

    path: Path | None = None
    faults: tuple[str, ...] = ()
    bad: tuple[tuple[Path, Finding], ...] = ()


class Recovery:
    """Chooses among the generations of one data folder. open_: how a file is opened."""

    def __init__(self, generations: Generations, open_: Open) -> None:
        self._generations, self._open = generations, open_

    def live(self) -> Chosen:
        """By a glance at the file that the pointer names, and whatever is known of it. Raises DamagedData."""
        return self.choose(glance)

    def sure(self) -> Chosen:
        """The same, opened once. Raises DamagedData."""
        return self.choose(lambda path: opened(path, self._open))

    def choose(self, look: Look) -> Chosen:
        """The file that the pointer names if it is good, else the newest good one, by number. Raises DamagedData."""
        pointed, wrong = self._generations.pointed()
        bad: list[tuple[Path, Finding]] = []
        if pointed is not None:
            found = look(pointed)
            if not found.problem:
                return Chosen(pointed)
            bad.append((pointed, found))
        others = [path for path in self._generations.published() if path != pointed]
        if pointed is None and not wrong and not others and not self._generations.kept_aside():
            return Chosen()
        good: list[tuple[int, int, Path]] = []
        for path in others:
            found = look(path)
            found = found if found.problem else opened(path, self._open)  # for its number
            if found.problem:
                bad.append((path, found))
            else:
                good.append((found.sequence, path.stat().st_mtime_ns, path))
        faults = [wrong or "data/live is missing"] if pointed is None else []
        faults += [f"generation {path.stem} {found.problem}" for path, found in bad]
        if not good:
            words, where = f"no generation can be read: {'; '.join(faults)}", str(self._generations.data)
            if any(not found.damaged for _, found in bad):  # it may be whole
                raise FolderError(words, where=where, hint=self._generations.rights())
            raise DamagedData(words, where=where, hint=RESTORE)
        return Chosen(max(good)[2], tuple(faults), tuple(bad))

    def told(self) -> tuple[str, ...]:
        """What is wrong and what is read instead, in one sentence; empty = nothing."""
        try:
            chosen = self.sure()
        except KpiError as error:
            return (f"{_sentence(error.message)} {error.hint}",)
        if not chosen.faults or chosen.path is None:
            return ()
        faults = "; ".join(chosen.faults)
        return (
            f"{_sentence(faults)} Generation {chosen.path.stem} is read instead. "
            "The next sync mends this, or `kpi doctor --repair`.",
        )

    def pointed_good(self) -> Path | None:
        """The file that the pointer names, if a glance finds nothing wrong with it."""
        pointed, _ = self._generations.pointed()
        return pointed if pointed is not None and not glance(pointed).problem else None

    def mend(self, *, whole: bool = False) -> tuple[Path | None, list[str]]:
        """Under the lock: put damaged files aside, point at the newest good one. What is live, and what was done.

        whole: read all files in whole, not only those that are in question. Raises DamagedData, FolderError; then
        nothing was moved.
        """
        generations = self._generations
        if whole:
            for path in generations.published():
                in_whole(path, self._open)  # what it finds is remembered
        chosen = self.sure()
        bad = dict(chosen.bad)
        if whole:
            bad |= {path: opened(path, self._open) for path in generations.published()}
        unsure = [(path, found) for path, found in bad.items() if found.problem and not found.damaged]
        if unsure:
            path, found = unsure[0]
            raise FolderError(
                found.problem,
                where=str(path),
                hint=f"It may be whole, so nothing is built on an older one. {generations.rights()}",
            )
        told = []
        for path, found in bad.items():
            if found.problem and (kept := generations.put_aside(path)) is not None:
                told.append(f"generation {path.stem} {found.problem}: it is kept as {self._shown(kept)}")
        pointed, wrong = generations.pointed()
        if chosen.path is not None and pointed != chosen.path:
            if wrong and (kept := generations.put_aside(generations.pointer)) is not None:
                told.append(f"{wrong}: it is kept as {self._shown(kept)}")
            generations.point(chosen.path)
            told.append(f"generation {chosen.path.stem} is live")
        return chosen.path, told

    def begin_anew(self) -> None:
        """Under the lock: put everything aside. Raises FolderError if a generation can be read."""
        try:
            chosen = self.sure()
        except DamagedData:
            for path in (*self._generations.published(), self._generations.pointer):
                self._generations.put_aside(path)
            return
        if chosen.path is not None:
            raise FolderError(
                f"generation {chosen.path.stem} can be read, so nothing begins anew",
                where=str(self._generations.data),
                hint="`kpi sync --full` pulls everything again and keeps what was published.",
            )

    def check(self) -> Sequence[Check]:
        """Every generation in whole, and the pointer."""
        rows = []
        for path in self._generations.published():
            found = in_whole(path, self._open)
            if found.problem:
                rows.append(Check(path.stem, "damaged", found.problem))
            elif noted(path) is None:
                rows.append(Check(path.stem, "unknown", "can be opened; no checksum was noted when it was published"))
            else:
                rows.append(Check(path.stem, "ok", "is what was published, by its checksum"))
        pointed, wrong = self._generations.pointed()
        if wrong or (pointed is None and rows):
            rows.append(Check("live", "damaged", wrong or "data/live is missing"))
        elif pointed is not None and not pointed.exists():
            rows.append(Check("live", "damaged", f"data/live names {pointed.stem}, which is not there"))
        return rows

    def _shown(self, path: Path) -> str:
        return f"data/{path.relative_to(self._generations.data).as_posix()}"


def _sentence(words: str) -> str:
    return f"{words}." if words.startswith("data/") else f"{words[0].upper()}{words[1:]}."
