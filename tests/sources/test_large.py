"""Answers of 200 MB: sources that stream an export hold a part of it at a time, each in a process of its own."""

from __future__ import annotations

import gzip
import io
import json
import multiprocessing
import resource
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from connectors.clock import set_clock
from jobs.project.project import open_project
from tests.conftest import NOW, Builder
from tests.fakes.server import Fake
from tests.sources import test_amplitude, test_mixpanel

pytestmark = pytest.mark.slow
MB = 1 << 20
SIZE = 200 * MB
MOST = 60 * MB  # beside what the process has before


def line(number: int) -> bytes:
    """An event of a kilobyte."""
    told = {"time": 1_795_300_000, "distinct_id": f"u{number}", "$insert_id": f"k{number}", "text": "x" * 900}
    return json.dumps({"event": "did", "uuid": f"u-{number}", "properties": told}).encode() + b"\n"


COUNT = SIZE // len(line(10_000)) + 1


def lines(_: Request) -> Response:
    """Lines, a hundred at a time."""

    def made() -> Iterator[bytes]:
        for start in range(0, COUNT, 100):
            yield b"".join(map(line, range(start, min(start + 100, COUNT))))

    return StreamingResponse(made(), media_type="text/plain")


def archive(_: Request) -> Response:
    """A zip of one gzipped file, whose lines are 200 MB."""
    packed, made = io.BytesIO(), io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1) as file:
        for number in range(COUNT):
            file.write(line(number))
    with zipfile.ZipFile(made, "w") as file_of_files:
        file_of_files.writestr("1/1_2026-11-22_1#0.json.gz", packed.getvalue())
    return Response(made.getvalue(), media_type="application/zip")


def pulls(folder: str) -> None:
    """Pull all; leave the bytes of memory that it took, and the rows, in a file."""
    set_clock(NOW)
    source = next(iter(open_project(Path(folder)).sources.all().values()))
    before, rows = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, 0
    for batch in source.pull({}):
        opener = gzip.open if batch.rows.path.suffix == ".gz" else open
        with opener(batch.rows.path, "rb") as file:
            rows += sum(1 for one in file if one.strip())
    took = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    (Path(folder) / "took").write_text(json.dumps([took, rows]))


@pytest.mark.parametrize("kind", ["mixpanel", "amplitude"])
def test_an_answer_of_200_mb_needs_little_memory(project: Builder, kind: str) -> None:
    entry, path, answer = {
        "mixpanel": (test_mixpanel.source, "/api/2.0/export", lines),
        "amplitude": (test_amplitude.source, "/api/2/export", archive),
    }[kind]
    window = "  window: 1d\n" if kind == "mixpanel" else "  window: 9d\n  lookback: 0h\n"
    with Fake(Starlette(routes=[Route(path, answer)])) as fake:
        fake.streams = True
        project.source(entry(fake, window, start="2026-11-23" if kind == "mixpanel" else "2026-11-22"))
        process = multiprocessing.get_context("forkserver").Process(target=pulls, args=(str(project.folder),))
        process.start()
        process.join(300)
    assert process.exitcode == 0
    took, rows = json.loads((project.folder / "took").read_text())
    assert rows == COUNT and took < MOST, f"{took / MB:.0f} MB"
