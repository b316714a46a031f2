"""What is measured: readers who think, a burst, a slow neighbour, a publish, open files, a soak."""

from __future__ import annotations

import asyncio
import math
import os
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from statistics import median

from benchmarks.load.protocol import Session
from benchmarks.load.servers import Server

PAGES = ("overview", "kpi", "kpis", "launch", "launches", "alerts", "data", "snapshots", "account", "audit")
ADDRESSES = {"overview": "", "bare": ""}  # of the others: their names


@dataclass(frozen=True)
class Paced:
    """Reruns of one page by readers who think. Milliseconds of wall time; cpu: the server's, of one rerun."""

    page: str
    reruns: int
    p50: float
    p95: float
    most: float
    cpu: float
    kilobytes: float
    load: float  # of the machine, over the last minute

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def share(times: Sequence[float], part: float) -> float:
    """The smallest time that this part of all does not exceed."""
    ordered = sorted(times)
    return ordered[max(0, math.ceil(len(ordered) * part) - 1)]


@asynccontextmanager
async def readers(server: Server, page: str, count: int, query: str = "") -> AsyncIterator[list[Session]]:
    """Open tabs that have drawn the page twice, one after the other: views are there, elements known."""
    async with AsyncExitStack() as stack:
        opened = []
        for _ in range(count):
            address = ADDRESSES.get(page, page)
            session = await stack.enter_async_context(Session(server.port, address, query))
            await session.rerun()
            await session.rerun()
            opened.append(session)
        yield opened


async def think(sessions: Sequence[Session], pause: float, ends: float) -> list[float]:
    """Times of the reruns of readers who each wait `pause` s on average between two, until `ends` (monotonic)."""
    times: list[float] = []

    async def one(session: Session) -> None:
        chance = random.Random(id(session))
        await asyncio.sleep(chance.uniform(0, pause))
        while time.monotonic() < ends:
            times.append(await session.rerun())
            await asyncio.sleep(chance.uniform(0.5, 1.5) * pause)

    await asyncio.gather(*(one(session) for session in sessions))
    return times


async def paced(server: Server, page: str, users: int, pause: float, seconds: float) -> Paced:
    """Readers of one page, each thinking."""
    async with readers(server, page, users) as sessions:
        before = server.cpu()
        times = await think(sessions, pause, time.monotonic() + seconds)
        cpu = (server.cpu() - before) / len(times)
        size = sessions[0].size / 1000
    p50, p95, most, cpu = (1000 * x for x in (share(times, 0.5), share(times, 0.95), max(times), cpu))
    return Paced(page, len(times), p50, p95, most, cpu, size, os.getloadavg()[0])


async def burst(server: Server, page: str, users: int, rounds: int = 9) -> float:
    """Reruns a second when all ask at once: the round in the middle."""
    rates = []
    async with readers(server, page, users) as sessions:
        for _ in range(rounds):
            begun = time.perf_counter()
            await asyncio.gather(*(session.rerun() for session in sessions))
            rates.append(users / (time.perf_counter() - begun))
    return median(rates)


@dataclass(frozen=True)
class Neighbour:
    """Milliseconds. alone, beside: the longest rerun of a reader without and with a slow one; slow: that one's."""

    alone: float
    beside: float
    slow: float


async def slow_neighbour(server: Server, heavy: Sequence[str], page: str = "kpi") -> Neighbour:
    """One reader's reruns while another asks for heavy breakdowns, each a query string that nobody asked before."""
    async with readers(server, page, 1) as (watched,), Session(server.port, "kpi") as slow:
        await slow.rerun()
        alone = max([await _rested(watched) for _ in range(20)])
        asking = asyncio.create_task(_each(slow, heavy))
        beside = [await _rested(watched)]
        while not asking.done():
            beside.append(await _rested(watched))
        return Neighbour(1000 * alone, 1000 * max(beside), 1000 * max(await asking))


async def _each(session: Session, queries: Sequence[str]) -> list[float]:
    return [await session.rerun(query) for query in queries]


async def _rested(session: Session) -> float:
    taken = await session.rerun()
    await asyncio.sleep(0.05)
    return taken


async def publishing(
    server: Server, command: Sequence[str], environment: dict[str, str], users: int, pause: float, page: str = "kpi"
) -> tuple[float, float]:
    """Longest and 95th rerun (ms) of thinking readers while a command publishes a generation, and 5 s after."""
    async with readers(server, page, users) as sessions:
        child = await asyncio.create_subprocess_exec(*command, env=environment, stdout=asyncio.subprocess.DEVNULL)
        times: list[float] = []
        while child.returncode is None:
            times += await think(sessions, pause, time.monotonic() + pause)
        times += await think(sessions, pause, time.monotonic() + 5)
    if child.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {child.returncode}")
    return 1000 * max(times), 1000 * share(times, 0.95)


async def open_files(server: Server, users: int) -> tuple[int, int]:
    """Files that the server has open before and with so many sessions, each of which has drawn the overview."""
    before = server.files()
    async with AsyncExitStack() as stack:
        for _ in range(users):
            session = await stack.enter_async_context(Session(server.port))
            await session.rerun()
        return before, server.files()


async def soak(server: Server, reruns: int, users: int = 10) -> tuple[int, int]:
    """Resident bytes after a tenth of the reruns and after all, through all pages in turn."""
    after_warm = 0
    async with AsyncExitStack() as stack:
        sessions = []
        for number in range(users):
            page = PAGES[number % len(PAGES)]
            sessions.append(await stack.enter_async_context(Session(server.port, ADDRESSES.get(page, page))))
        for done in range(0, reruns, users):
            await asyncio.gather(*(session.rerun() for session in sessions))
            if not after_warm and done >= reruns / 10:
                after_warm = server.memory()
    return after_warm, server.memory()
