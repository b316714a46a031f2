"""Two servers over one project, as behind a proxy: one sync, and both show it; each ends when it is told to."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from benchmarks.load.protocol import Session
from tests.conftest import Builder, Server, run_process
from tests.jobs.conftest import GOOD, LOW, make

SOON = 2.0  # seconds after it is published
ENDS = 20.0  # seconds after SIGTERM, as docs/operations.md says


@dataclass
class Reading(Session):
    """A session that keeps what its last run was sent."""

    got: list[bytes] = field(default_factory=list)

    async def text(self) -> bytes:
        self.got.clear()
        await self.rerun()
        return b"".join(self.got)

    def _took(self, message: ForwardMsg, size: int) -> bool:
        self.got.append(message.SerializeToString())
        return super()._took(message, size)


async def seen_after(project: Builder, readers: list[Reading], value: int) -> float:
    """Seconds from the moment that a generation is live until a tab of each server, asked again and again, shows it."""
    pointer = project.folder / "data" / "live"
    before = pointer.readlink()
    make(project, {**dict.fromkeys(GOOD, float(value))}, LOW)
    syncing = asyncio.create_task(asyncio.to_thread(run_process, "sync", "--project", str(project.folder), check=True))
    while pointer.readlink() == before:
        await asyncio.sleep(0.01)
    live = time.monotonic()

    async def shown(reader: Reading) -> float:
        while str(value).encode() not in await reader.text():
            assert time.monotonic() - live < 30, "it is never shown"
            await asyncio.sleep(0.1)
        return time.monotonic() - live

    took = await asyncio.gather(*map(shown, readers))
    await syncing
    return max(took)


async def seen_and_ended(project: Builder, servers: list[Server]) -> list[float]:
    """Three times what `seen_after` gives, of which the machine may have been busy in some; then each server ends."""
    readers = [Reading(server.port) for server in servers]
    for reader in readers:
        await reader.__aenter__()
    try:
        for reader in readers:
            assert b"777" in await reader.text()
        took = [await seen_after(project, readers, value) for value in (888, 999, 666)]
        for server in servers:  # with a tab open
            begun = time.monotonic()
            server.process.terminate()
            await asyncio.to_thread(server.process.wait, ENDS)
            assert time.monotonic() - begun < ENDS
        return took
    finally:
        for reader in readers:
            await reader.__aexit__(None, None, None)


@pytest.mark.slow
def test_each_shows_what_one_sync_published_and_ends_when_told(project: Builder) -> None:
    make(project, {**dict.fromkeys(GOOD, 777.0)}, LOW)
    project.sync()
    servers = [Server(project.folder) for _ in range(2)]
    try:
        with ThreadPoolExecutor(1) as thread:  # of its own: a browser test may have left an event loop in this one
            took = thread.submit(asyncio.run, seen_and_ended(project, servers)).result()
    finally:
        for server in servers:
            server.stop()
    assert min(took) < SOON, took
