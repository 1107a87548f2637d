"""Ports of 127.0.0.1 for one stack: free, random, kept from one start to the next, and never those of another stack."""

import secrets
import socket
import sys

from deploy.local.folder import Trouble

LOWEST, HIGHEST = 20_000, 31_999
_TRIES = 200


class Ports:
    """Hands out ports and keeps other stacks on this machine off them for as long as this process lives."""

    def __init__(self) -> None:
        self._reserved: dict[int, socket.socket | None] = {}

    def take(self, wished: int | None = None) -> int:
        """Return a free port: the wished one if it can be had, else a random one.

        Args:
            wished: the port of the last start.
        """
        if wished is not None and self._reserve(wished):
            return wished
        for _ in range(_TRIES):
            port = LOWEST + secrets.randbelow(HIGHEST - LOWEST + 1)
            if self._reserve(port):
                return port
        message = f"no free port was found between {LOWEST} and {HIGHEST}"
        raise Trouble(message)

    def give_back(self, port: int) -> None:
        """Let other stacks have a port."""
        if held := self._reserved.pop(port, None):
            held.close()

    def close(self) -> None:
        """Let other stacks have all of them."""
        for port in list(self._reserved):
            self.give_back(port)

    def _reserve(self, port: int) -> bool:
        if port in self._reserved or not is_free(port):
            return False
        held = None
        if sys.platform == "linux":
            # An abstract name lives as long as its socket, and in the same network namespace as the port: two stacks
            # that start at once can't choose the same port between the check and the listener.
            held = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                held.bind(f"\0plaudit-port-{port}")
            except OSError:
                held.close()
                return False
        self._reserved[port] = held
        return True


def is_free(port: int) -> bool:
    """Tell whether nothing listens on a port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
