"""A tab without a browser: connects as anybody from anywhere, says anything, and keeps all that it is sent."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

SECONDS = 60.0


class Tab:
    """One connection. headers: of its request, as Cookie or a proxy's; address: where it connects from."""

    def __init__(self, port: int, headers: Mapping[str, str] | None = None, *, address: str = "127.0.0.1") -> None:
        self.port, self.headers, self.address = port, dict(headers or {}), address
        self.session, self._run, self._page = "", "", ""
        self._socket: ClientConnection | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        here = f"127.0.0.1:{self.port}"
        opening = connect(
            f"ws://{here}/_stcore/stream",
            origin=Origin(f"http://{here}"),
            subprotocols=[Subprotocol("streamlit")],
            additional_headers=self.headers,
            source_address=(self.address, 0),
            compression=None,
            max_size=None,
            open_timeout=SECONDS,
        )
        self._socket = self._stack.enter_context(opening)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    def opens(self, page: str = "", query: str = "", widgets: Sequence[WidgetState] = ()) -> str:
        """Text of all that a run sends. page: its name in the address; the same again = a rerun."""
        message = BackMsg()
        asked = message.rerun_script
        again = page == self._page and self._run
        asked.query_string, asked.page_name = query, "" if again else page
        asked.page_script_hash = self._run if again else ""
        asked.widget_states.widgets.extend(widgets)
        asked.context_info.url = f"http://127.0.0.1:{self.port}/{page}"
        asked.context_info.timezone, asked.context_info.locale = "UTC", "en-US"
        self.says(message)
        self._page = page
        return self._sent()

    def takes(self, file: str) -> str:
        """Address of a file that a button of this tab makes. file: its `deferred_file_id`."""
        message = BackMsg()
        asked = message.backend_operation_request
        asked.request_id, asked.session_id, asked.deferred_file.file_id = "1", self.session, file
        self.says(message)
        while True:
            told = self._told()
            if told.WhichOneof("type") == "backend_operation_response":
                assert not told.backend_operation_response.error_msg, told
                return str(told.backend_operation_response.deferred_file.url)

    def says(self, message: BackMsg) -> None:
        assert self._socket is not None
        self._socket.send(message.SerializeToString())

    def _told(self) -> ForwardMsg:
        assert self._socket is not None
        told = self._socket.recv(timeout=SECONDS)
        message = ForwardMsg()
        message.ParseFromString(told.encode() if isinstance(told, str) else told)
        return message

    def _sent(self) -> str:
        found: list[str] = []
        while True:
            message = self._told()
            kind = message.WhichOneof("type")
            if kind == "new_session":
                self.session = message.new_session.initialize.session_id
            elif kind == "navigation":
                self._run = message.navigation.page_script_hash
            elif kind == "script_finished" and message.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                return "\n".join(found)
            found.append(str(message))


def clicked(text: str, label: str) -> WidgetState:
    """The state of a button with that label among what was sent, as after a click."""
    found = re.search(rf'button {{\s+id: "([^"]+)"[^}}]*?label: "{re.escape(label)}"', text)
    assert found is not None, f"no button {label}"
    return WidgetState(id=found[1], trigger_value=True)
