"""A reader of the dashboard without a browser: Streamlit's own protocol over its websocket."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from streamlit.proto.Alert_pb2 import Alert
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

DONE = (ForwardMsg.FINISHED_SUCCESSFULLY, ForwardMsg.FINISHED_WITH_COMPILE_ERROR)


class PageError(RuntimeError):
    """The page showed an exception, or the connection ended: its times say nothing."""


@dataclass
class Session:
    """One open tab at one page. It keeps large elements as a browser does, so that only their hashes are sent again."""

    port: int
    page: str = ""  # its address without the query: kpi; empty: the first one
    query: str = ""
    run: str = ""  # the hash of the page's script, once it has run
    size: int = 0  # bytes of the last rerun
    _socket: ClientConnection | None = None
    _kept: set[str] = field(default_factory=set)

    async def __aenter__(self) -> Self:
        here = f"127.0.0.1:{self.port}"
        self._socket = await connect(
            f"ws://{here}/_stcore/stream",
            origin=Origin(f"http://{here}"),
            subprotocols=[Subprotocol("streamlit")],
            compression=None,
            max_size=None,
            open_timeout=60,
            ping_interval=None,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        if self._socket is not None:
            await self._socket.close()

    async def rerun(self, query: str | None = None) -> float:
        """Ask for a run of the page's script; seconds until all of it has arrived. Raises PageError."""
        if self._socket is None:
            raise PageError("not connected")
        if query is not None:
            self.query = query
        begun = time.perf_counter()
        await self._socket.send(self._asked())
        self.size = 0
        while True:
            told = await self._socket.recv()
            at = time.perf_counter()
            if self._took(ForwardMsg.FromString(bytes(told, "utf-8") if isinstance(told, str) else told), len(told)):
                return at - begun

    def _asked(self) -> bytes:
        message = BackMsg()
        state = message.rerun_script
        state.query_string, state.page_script_hash = self.query, self.run
        state.page_name = "" if self.run else self.page
        state.cached_message_hashes.extend(self._kept)
        state.context_info.url = f"http://127.0.0.1:{self.port}/{self.page}"
        state.context_info.timezone, state.context_info.locale = "UTC", "en-US"
        state.context_info.color_scheme = "light"
        return bytes(message.SerializeToString())

    def _took(self, message: ForwardMsg, size: int) -> bool:
        """Whether that was the last of a run."""
        self.size += size
        kind = message.WhichOneof("type")
        if kind == "navigation":
            self.run = message.navigation.page_script_hash
        elif kind == "delta":
            if message.metadata.cacheable:
                self._kept.add(message.hash)
            self._look(message.delta.new_element)
        elif kind == "page_not_found":
            raise PageError(f"no page {self.page}")
        return kind == "script_finished" and message.script_finished in DONE

    def _look(self, element: Element) -> None:
        kind = element.WhichOneof("type")
        if kind == "exception":
            raise PageError(f"{self.page}: {element.exception.message}")
        if kind == "heading" and element.heading.body.startswith("No page "):
            raise PageError(f"no page {self.page}")
        if kind == "alert" and element.alert.format == Alert.ERROR:
            raise PageError(f"{self.page}: {element.alert.body}")
