"""init: a new project folder; from a file or address, with proposed source, dataset and first KPIs."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from connectors.clock import utc_now
from connectors.errors import LoadError, ProjectError, SourceError
from connectors.sources.contract import Source
from connectors.sources.files import FileOptions, Files
from connectors.warehouse.contract import Loading
from connectors.warehouse.open import open_warehouse
from jobs.project.catalogue_cache import PARTS

Make = Callable[[str, Path], Source]  # (date format, folder that paths are relative to) → what is pulled
TIMES = ("DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE")
NUMBERS = ("BIGINT", "INTEGER", "DOUBLE", "FLOAT", "HUGEINT", "DECIMAL")
DATE_FORMATS = (
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%d/%m/%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%d.%m.%Y",
    "%d-%m-%Y",
    "%d %b %Y",
    "%b %d, %Y",
    "%Y%m%d",
)
WHO = re.compile(r"(user|customer|client|account|member|visitor|person|patient|student|email|company|buyer)", re.I)
ID = re.compile(r"(^|_|\s|[a-z])(id|uuid|guid|key|code|no|nr|number|invoice|sku)$", re.I)
TRAIT = re.compile(
    r"(type|segment|group|country|region|city|tier|plan|status|age|gender|count|since|score|rating)", re.I
)
CHANGED = re.compile(r"^(updated|modified|changed|last_modified|uuid_ts|_?loaded|synced)(_?(at|on|ts|time))?$", re.I)
MONEY = re.compile(r"(amount|revenue|price|total|value|sales|cost|gmv|mrr|fee|paid|sum)", re.I)
MOST_DIMENSIONS, MOST_VALUES = 6, 60

SETTINGS = """\
# docs/settings.md lists every key.
timezone: UTC            # whose midnights bound days, weeks and months
week_start: monday
"""


SNAPSHOT = """\
# One weekly snapshot: frozen once the week is complete, sent to `recipients`. docs/snapshots.md lists every key.
name: weekly
title: Weekly snapshot
# sections:                       # default: one for each area
#   - {title: Growth, kpis: [sign_ups, {kpi: activation, where: {platform: ios}}]}
# recipients: [leads]             # contact points of settings.yml
"""


@dataclass(frozen=True)
class Column:
    """What was seen of one column: distinct and nulls in rows."""

    name: str
    kind: str
    distinct: int
    nulls: int


@dataclass(frozen=True)
class Guess:
    """What a file's columns are probably for. entity, amount: empty = none found."""

    rows: int
    time: Column
    days: int
    entity: str
    amount: str
    dimensions: tuple[str, ...]
    key: str
    date_format: str
    cursor: str = ""


def init(directory: Path, origin: str | None) -> Iterator[str]:
    """Make the folder; yield what was done, a line each. Writes nothing if anything is wrong.

    Raises ProjectError if the folder is not empty or the file has no time, SourceError if it cannot be read.
    """
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise ProjectError(f"{directory} exists and is not empty", hint="Name a new folder.")
    if origin is None:
        _write(
            directory,
            {
                "settings.yml": SETTINGS,
                "snapshots/weekly.yml": SNAPSHOT,
                "sources.yml": "# - {name: orders, type: files, table: orders, path: orders.csv}\n",
            },
        )
        yield f"Made {directory}."
        yield f"Next: describe a source in {directory}/sources.yml (`kpi sources` lists the options), then"
        yield f"  kpi sync --project {directory}"
        return
    name = slug(
        re.sub(r"(\.\w+)+$", "", origin.split("?")[0].rstrip("/").rsplit("/", 1)[-1].replace("*", "")) or "data"
    )
    path = origin if origin.startswith(("http://", "https://")) else str(Path(origin).expanduser().absolute())
    guess = look(name, file_source(name, path))
    files = proposal(name, file_entry(path, guess), guess)
    _write(directory, files)
    kpis = [Path(f).stem for f in files if f.startswith("kpis/")]
    yield f"Looked at {guess.rows:,} rows of {origin}: time is '{guess.time.name}', {guess.days:,} days of it."
    yield f"Made {directory} with {len(kpis)} KPIs: {', '.join(kpis)}."
    yield "Next:"
    yield f"  kpi sync --project {directory}"
    yield f"  kpi run --project {directory}"


def file_source(name: str, path: str) -> Make:
    """How the file is read with a date format, for `look`."""

    def make(date_format: str, folder: Path) -> Source:
        options = FileOptions(name=name, type="files", table=name, path=path, load="append", date_format=date_format)
        return Files(options, folder=folder)

    return make


def file_entry(path: str, guess: Guess) -> str:
    """The lines of a file's entry in sources.yml, below name and table."""
    written = f"\n  date_format: {text(guess.date_format)}" if guess.date_format else ""
    return f"  type: files\n  path: {text(path)}{written}\n"


def look(name: str, make: Make) -> Guess:
    """Load the source into a scratch warehouse and look at its columns. Raises ProjectError, SourceError."""
    with tempfile.TemporaryDirectory() as folder:
        guess, texts = _look(name, make, Path(folder), "")
        if guess is not None:
            return guess
        for date_format in texts:
            try:
                again, _ = _look(name, make, Path(folder), date_format)
            except (LoadError, SourceError):
                continue
            if again is not None:
                return again
        columns = _columns(name, make, Path(folder))
    raise ProjectError(
        f"no column of {name} looks like a date or time",
        hint=f"Columns: {', '.join(f'{c.name} ({c.kind})' for c in columns)}. A KPI needs to know when a row "
        "happened; make a project without --from and set `date_format` for its source.",
    )


def _columns(name: str, make: Make, folder: Path) -> list[Column]:
    with _loaded(make("", folder), folder) as scratch:
        return _profile(scratch, name)[1]


@contextmanager
def _loaded(source: Source, folder: Path) -> Iterator[Loading]:
    """The source's rows in the embedded engine, whatever the project's: what is looked for is its SQL."""
    with open_warehouse("", folder, memory_limit="4GB", threads=2).scratch(utc_now()) as scratch:
        with scratch.transaction():
            load = scratch.begin_load(source.options)
            for batch in source.pull({}):
                load.add(batch)
            load.finish(None)
        scratch.settle()
        yield scratch


def _look(name: str, make: Make, folder: Path, date_format: str) -> tuple[Guess | None, list[str]]:
    """A guess, or the date formats that would make one of the text columns a time."""
    with _loaded(make(date_format, folder), folder) as scratch:
        rows, columns = _profile(scratch, name)
        times = [c for c in columns if c.kind in TIMES and c.nulls < rows / 2]
        if not times:
            return None, _date_formats(scratch, name, columns)
        # The most detailed time with fewest gaps; of equals the first.
        time = min(times, key=lambda c: (c.nulls > 0, c.kind == "DATE" and any(t.kind != "DATE" for t in times)))
        span = scratch.frame(
            f"SELECT date_diff('day', min({q(time.name)}), max({q(time.name)})) + 1 AS d FROM {q(name)}"
        )
    return _guess(rows, columns, time, int(span["d"].iloc[0] or 1), date_format), []


def _guess(rows: int, columns: list[Column], time: Column, days: int, date_format: str) -> Guess:
    texts = [c for c in columns if c.kind == "VARCHAR"]
    who = [
        c for c in columns if WHO.search(c.name) and not TRAIT.search(c.name) and c.kind not in TIMES and c.distinct > 2
    ]
    who = [c for c in who if c.kind != "DOUBLE" or ID.search(c.name)] or who
    entity = max(who, key=lambda c: (bool(ID.search(c.name)), c.distinct)).name if who else ""
    numbers = [c for c in columns if c.kind.startswith(NUMBERS) and not ID.search(c.name) and c.name != entity]
    money = [c for c in numbers if MONEY.search(c.name)] or [c for c in numbers if c.kind in ("DOUBLE", "FLOAT")]
    dimensions = [
        c.name for c in texts if 2 <= c.distinct <= MOST_VALUES and c.name != entity and c.distinct < max(3, rows / 2)
    ]
    dimensions += [c.name for c in columns if c.kind == "BOOLEAN"]
    unique = [c.name for c in columns if c.distinct == rows and c.nulls == 0 and ID.search(c.name) and rows > 1]
    return Guess(
        rows,
        time,
        days,
        entity,
        money[0].name if money else "",
        tuple(dimensions[:MOST_DIMENSIONS]),
        unique[0] if unique else "",
        date_format,
        next((c.name for c in columns if CHANGED.search(c.name) and c.kind in TIMES and not c.nulls), ""),
    )


def proposal(name: str, entry: str, guess: Guess) -> dict[str, str]:
    """The files of the new project: name → text. entry: lines of the source in sources.yml."""
    plural = name.replace("_", " ")
    grain = "day" if guess.days < 70 else "week" if guess.days < 800 else "month"
    files = {
        "settings.yml": SETTINGS,
        "sources.yml": f"- name: {name}\n  table: {name}\n{entry}",
        "snapshots/weekly.yml": SNAPSHOT,
        f"datasets/{name}.yml": _dataset(name, guess),
    }
    files[f"kpis/{name}_count.yml"] = _kpi(
        f"{name}_count",
        plural.capitalize() + ("" if plural.endswith("s") else " rows"),
        f"Rows of {plural}.",
        name,
        "agg: count",
        grain,
        '"#,##0"',
    )
    if guess.entity:
        who = slug(re.sub(r"[_\s]?(id|uuid|guid|key|no|nr|number)$", "", guess.entity, flags=re.I)) or "entity"
        named = f"active_{who}s" if not who.endswith("s") else f"active_{who}"
        files[f"kpis/{named}.yml"] = _kpi(
            named,
            named.replace("_", " ").capitalize(),
            f"Distinct {guess.entity} with a row.",
            name,
            f"agg: count_distinct\nexpr: {text(column(guess.entity))}",
            grain,
            '"#,##0"',
        )
    if guess.amount:
        amount, title = slug(guess.amount), guess.amount.replace("_", " ")
        total = amount if amount.startswith("total") else f"total_{amount}"
        files[f"kpis/{total}.yml"] = _kpi(
            total,
            total.replace("_", " ").capitalize(),
            f"Sum of {guess.amount}.",
            name,
            f"agg: sum\nexpr: {text(column(guess.amount))}",
            grain,
            '"#,##0"',
        )
        files[f"kpis/average_{amount}.yml"] = _kpi(
            f"average_{amount}",
            f"Average {title.lower()}",
            f"Mean {guess.amount} of a row.",
            name,
            f"agg: avg\nexpr: {text(column(guess.amount))}",
            grain,
            '"#,##0.00"',
        )
    if guess.entity:
        files[f"kpis/{name}_per_{who}.yml"] = (
            f"name: {name}_per_{who}\nlabel: {plural.capitalize()} per {who.replace('_', ' ')}\n"
            f"description: Rows of {plural} per distinct {guess.entity}.\ntype: ratio\n"
            f"numerator: {name}_count          # each part is a KPI, or an inline measure\n"
            f'denominator: {named}\ngrain: {grain}\nformat: "#,##0.00"\nowner: you@example.com\n'
        )
    return files


def _dataset(name: str, guess: Guess) -> str:
    lines = [f"name: {name}", f"source: {name}"]
    lines += [f"primary_key: {text(guess.key)}"] if guess.key else []
    lines += [f"time_dimension: {text(guess.time.name)}        # when a row happened"]
    lines += ["timezone: UTC            # of timestamps without a zone"] if guess.time.kind == "TIMESTAMP" else []
    lines += [f"entity: {text(guess.entity)}        # who is counted"] if guess.entity else []
    if guess.dimensions:
        lines += ["dimensions:              # what KPIs can be broken down by and filtered on"]
        lines += [f"  {slug(d)}: {text(column(d))}" for d in guess.dimensions]
    return "\n".join(lines) + "\n"


def _kpi(name: str, label: str, description: str, dataset: str, measure: str, grain: str, format_: str) -> str:
    return (
        f"name: {name}\nlabel: {text(label)}\ndescription: {text(description)}\ndataset: {dataset}\n{measure}\n"
        f"# filter: status = 'paid'           # only rows that meet this condition\n"
        f"grain: {grain}\nformat: {format_}\ndirection: up_is_good\n"
        '# thresholds: {warning: "< 100", critical: "< 80"}   # at risk, off track\n'
        "# targets: [{value: 120}]\nowner: you@example.com\n"
    )


def _profile(scratch: Loading, table: str) -> tuple[int, list[Column]]:
    kinds = scratch.tables()[table]
    parts = [f"approx_count_distinct({q(c)}), count(*) - count({q(c)})" for c in kinds]
    row = scratch.frame(f"SELECT count(*), {', '.join(parts)} FROM {q(table)}").iloc[0].tolist()
    rows = int(row[0])
    columns = []
    for index, (name, kind) in enumerate(kinds.items()):
        distinct = int(row[1 + 2 * index])
        if distinct > 0.9 * rows or distinct <= 2 * MOST_VALUES:  # the estimate decides nothing near an edge
            distinct = int(scratch.frame(f"SELECT count(DISTINCT {q(name)}) AS n FROM {q(table)}")["n"].iloc[0])
        columns.append(Column(name, kind, distinct, int(row[2 + 2 * index])))
    return rows, columns


def _date_formats(scratch: Loading, table: str, columns: list[Column]) -> list[str]:
    found = []
    for format_ in DATE_FORMATS:
        for c in columns:
            if c.kind == "VARCHAR" and c.distinct > 1:
                bad = scratch.frame(
                    f"SELECT count(*) AS n FROM {q(table)} WHERE {q(c.name)} IS NOT NULL "
                    f"AND try_strptime({q(c.name)}, '{format_}') IS NULL"
                )
                if int(bad["n"].iloc[0]) == 0:
                    found.append(format_)
                    break
    return found


def _write(directory: Path, files: dict[str, str]) -> None:
    fresh = not directory.exists()
    try:
        for part in PARTS:
            (directory / part).mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (directory / name).write_text(content, encoding="utf-8")
    except OSError as error:
        if fresh:
            shutil.rmtree(directory, ignore_errors=True)
        raise ProjectError(
            f"{directory} cannot be made: {error.strerror}", hint="Choose a folder you may write to."
        ) from error


def slug(name: str) -> str:
    """A name for files and keys: lower case, digits and underscores, starting with a letter."""
    plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    plain = re.sub(r"\W+", "_", plain, flags=re.ASCII).strip("_").lower()
    plain = re.sub(r"_+", "_", plain)
    return plain if plain[:1].isalpha() else f"c_{plain}".rstrip("_")


def column(name: str) -> str:
    """A column in SQL: quoted unless it is plain."""
    return name if re.fullmatch(r"[A-Za-z_]\w*", name, flags=re.ASCII) and name.lower() not in RESERVED else q(name)


RESERVED = {
    "at",
    "order",
    "group",
    "select",
    "from",
    "where",
    "date",
    "time",
    "user",
    "table",
    "desc",
    "asc",
    "end",
    "case",
}


def q(name: str) -> str:
    """A quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """A YAML scalar: quoted unless it is plain words."""
    if re.fullmatch(r"[A-Za-z][\w .,/-]*[\w.]|[A-Za-z]", value, flags=re.ASCII) and value.lower() not in (
        "true",
        "false",
        "null",
        "yes",
        "no",
    ):
        return value
    return "'" + value.replace("'", "''") + "'"
