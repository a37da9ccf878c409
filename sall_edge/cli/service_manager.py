"""What systemd is told: that the program is ready, and that it still goes on (sd_notify(3))."""

import os
import socket
from contextlib import suppress

__all__ = ["ServiceManager"]


class ServiceManager:
    """The socket of the service manager that started the program, if one did; used in a `with` block."""

    def __init__(self) -> None:
        address = os.environ.get("NOTIFY_SOCKET")
        self._address = f"\0{address[1:]}" if address and address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)

    def ready(self) -> None:
        """The camera is open and the store too."""
        self._say("READY=1")

    def alive(self) -> None:
        """To be said more often than `WatchdogSec`; a loop that hangs does not, and is started again."""
        self._say("WATCHDOG=1")

    def stopping(self) -> None:
        """It ends by itself or because it was told to, and closes what is open."""
        self._say("STOPPING=1")

    def __enter__(self) -> "ServiceManager":
        return self

    def __exit__(self, *raised: object) -> None:
        self._socket.close()

    def _say(self, state: str) -> None:
        if self._address:
            with suppress(OSError):  # it is being restarted itself; if it stays away, its watchdog does what is right
                self._socket.sendto(state.encode(), self._address)
