"""What systemd is told: that the program is ready, and that it still goes on (sd_notify(3))."""

import os
import socket

__all__ = ["ServiceManager"]


class ServiceManager:
    """The socket of the service manager that started the program, if one did."""

    def __init__(self) -> None:
        address = os.environ.get("NOTIFY_SOCKET")
        self._socket = None
        if address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.connect("\0" + address[1:] if address.startswith("@") else address)

    def ready(self) -> None:
        """The camera is open and the store too."""
        self._say("READY=1")

    def alive(self) -> None:
        """To be said more often than `WatchdogSec`; a loop that hangs does not, and is started again."""
        self._say("WATCHDOG=1")

    def _say(self, state: str) -> None:
        if self._socket is not None:
            self._socket.send(state.encode())
