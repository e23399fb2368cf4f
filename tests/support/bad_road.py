"""A road between a client and a server that a test can make slow, silent, closed, or full of 503.

TCP, so that whatever is spoken passes: HTTP, websockets, PostgreSQL.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final, Literal, Self

Manner = Literal["open", "slow", "silent", "closed", "503"]
_UNAVAILABLE: Final = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass
class BadRoad:
    """`with BadRoad(port) as road: connect to road.port; road.manner = "slow"`.

    `slow`: what the server says comes `delay` seconds late. `silent`: nothing passes any more, and nobody is told.
    `closed`: connections are refused. `503`: every request is answered so. Where a road was or becomes closed, or 503,
    the connections on it are cut off.
    """

    to: int
    delay: float = 1.0
    port: int = 0
    _manner: Manner = "open"
    _ways: set[asyncio.StreamWriter] = field(default_factory=set[asyncio.StreamWriter])

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=30)

    @contextmanager
    def being(self, manner: Manner) -> Iterator[None]:
        """Be so for a while."""
        self._do(self._become(manner))
        yield
        self._do(self._become("open"))

    def _do(self, coroutine) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout=30)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._meet, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self._server.close()
        self._cut()

    async def _become(self, manner: Manner) -> None:
        was, self._manner = self._manner, manner
        if {was, manner} & {"closed", "503"}:
            self._cut()
        if manner == "closed":
            self._server.close()
        elif was == "closed":
            await self._listen()

    def _cut(self) -> None:
        for way in list(self._ways):
            way.transport.abort()

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._ways.add(writer)
        try:
            if self._manner == "503":
                await reader.readuntil(b"\r\n\r\n")
                writer.write(_UNAVAILABLE)
                await writer.drain()
                return
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.to)
            self._ways.add(far_writer)
            try:
                await asyncio.gather(self._pass(reader, far_writer, 0), self._pass(far_reader, writer, 1))
            finally:
                self._ways.discard(far_writer)
                far_writer.transport.abort()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._ways.discard(writer)
            writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, late: int) -> None:
        while piece := await reader.read(65536):
            while self._manner == "silent":
                await asyncio.sleep(0.05)
            if late and self._manner == "slow":
                await asyncio.sleep(self.delay)
            writer.write(piece)
            await writer.drain()
        with suppress(OSError):
            writer.write_eof()
