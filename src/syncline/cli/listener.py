"""The socket that clients connect to: opened before anything else, and left so that nobody is cut off."""

from __future__ import annotations

import asyncio
import ctypes
import select
import socket
import struct
from contextlib import suppress

_BACKLOG = 2048
_MOMENT_SECONDS, _MOMENTS = 0.1, 20
# Of <linux/filter.h> and <asm-generic/socket.h>; Python does not name them.
_SO_ATTACH_FILTER = 26
_LOAD_BYTE, _AND, _JUMP_IF_EQUAL, _RETURN = 0x30, 0x54, 0x15, 0x06
_TCP_FLAGS, _SYN, _SYN_OR_ACK = 13, 0x02, 0x12
_NOTHING_BUT_CONNECTING = (
    (_LOAD_BYTE, 0, 0, _TCP_FLAGS),
    (_AND, 0, 0, _SYN_OR_ACK),
    (_JUMP_IF_EQUAL, 0, 1, _SYN),
    (_RETURN, 0, 0, 0),
    (_RETURN, 0, 0, 0xFFFFFFFF),
)


def listen(host: str, port: int) -> socket.socket:
    """Listen on an address of IPv4 or IPv6; OSError if that is not possible."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


async def leave(listener: socket.socket) -> None:
    """Get ready to close a socket that a server of this loop accepts from: afterwards nobody waits in it.

    Closing resets the connections that the kernel has made and nobody has accepted yet, with the requests
    that may be in them; their clients cannot know whether these were carried out. So new ones are turned away
    first: what asks to connect is dropped unanswered, and asks again after a second, when the socket is
    closed or another process has taken its place. That is Linux's (socket(7), SO_ATTACH_FILTER); elsewhere a
    connection that is made in the moment of closing is reset as before.
    """
    program = ctypes.create_string_buffer(
        b"".join(struct.pack("HBBI", *line) for line in _NOTHING_BUT_CONNECTING)
    )
    # The size first, then the address of the instructions: struct sock_fprog.
    attached = struct.pack("HP", len(_NOTHING_BUT_CONNECTING), ctypes.addressof(program))
    with suppress(OSError):
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, attached)
    # A connection whose handshake is under way needs a moment to get in.
    for _ in range(_MOMENTS):
        await asyncio.sleep(_MOMENT_SECONDS)
        if not _is_somebody_waiting(listener):
            return


def _is_somebody_waiting(listener: socket.socket) -> bool:
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    return bool(poll.poll(0))
