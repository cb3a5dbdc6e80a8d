"""One POST over a pooled connection, without what an aiohttp session does around each request.

aiohttp's connector makes, keeps and limits the connections, and aiohttp's parser reads the answers. A session
would build request, response, cookies and header maps anew each time, which costs as much as all the rest of
a delivery (docs/decisions/019).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL


class Target:
    """An address that is posted to again and again: what of a request is always the same."""

    def __init__(self, url: URL, connector: aiohttp.BaseConnector, headers: Mapping[str, str]) -> None:
        """`headers` go with every request. Call it inside the running event loop."""
        self.connector = connector
        # The connector only looks up in it where to connect to.
        self.request = aiohttp.ClientRequest("POST", url, loop=asyncio.get_running_loop())
        always = {"Host": self.request.headers["Host"], **headers}
        self._begin = f"POST {url.raw_path_qs} HTTP/1.1\r\n{_lines(always)}\r\nContent-Length: "

    def written(self, body: bytes, headers: Mapping[str, str]) -> bytes:
        """Return a request as it goes over the wire; `ValueError` for headers that would end early."""
        end = f"\r\n{_lines(headers)}\r\n\r\n" if headers else "\r\n\r\n"
        return f"{self._begin}{len(body)}{end}".encode() + body


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer: header names in any letter case, the body up to the limit."""

    status: int
    headers: Mapping[str, str]
    body: bytes


async def exchange(target: Target, request: bytes, bounds: aiohttp.ClientTimeout, max_body: int) -> Answer:
    """Send a request and return the answer, of whose body at most `max_body` bytes are read.

    A longer answer costs its connection. Of `bounds` only the time to connect counts here: the caller ends
    what takes too long in all. Raises aiohttp's errors, `OSError` and `TimeoutError`.
    """
    connection = await target.connector.connect(target.request, traces=[], timeout=bounds)
    try:
        protocol, transport = connection.protocol, connection.transport
        if protocol is None or transport is None or transport.is_closing():
            raise aiohttp.ServerDisconnectedError
        protocol.set_response_params(read_until_eof=True, auto_decompress=False, read_bufsize=max_body)
        transport.write(request)
        message, payload = await protocol.read()
        while 100 <= message.code < 200 and message.code != 101:
            message, payload = await protocol.read()
        body = b"" if payload.at_eof() else await _read(payload, max_body)
        # A receiver that answers before it has read the request is left alone with it.
        is_over = payload.at_eof() and transport.get_write_buffer_size() == 0
    except HttpProcessingError as error:
        connection.close()
        raise aiohttp.ClientPayloadError("the answer is not valid HTTP") from error
    except BaseException:
        connection.close()
        raise
    if is_over:
        connection.release()
    else:
        connection.close()
    return Answer(message.code, message.headers, body)


async def _read(payload: aiohttp.StreamReader, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while size < limit and (chunk := await payload.read(limit - size)):
        chunks.append(chunk)
        size += len(chunk)
    return b"".join(chunks)


def _lines(headers: Mapping[str, str]) -> str:
    text = "\n".join([f"{name}: {value}" for name, value in headers.items()])
    if text.count("\n") != len(headers) - 1 or "\r" in text or "\0" in text:
        raise ValueError("a header has a line break in it")
    return text.replace("\n", "\r\n")
