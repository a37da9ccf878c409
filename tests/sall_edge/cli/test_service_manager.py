"""A real datagram socket stands in for systemd."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from sall_edge.cli.service_manager import ServiceManager


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    name = str(tmp_path / "notify") if request.param == "path" else f"@sall-edge-test-{tmp_path.name}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("\0" + name[1:] if name.startswith("@") else name)
        listening.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        yield listening


def test_it_is_told_that_the_program_is_ready_goes_on_and_ends(systemd: socket.socket) -> None:
    with ServiceManager() as manager:
        manager.ready()
        manager.alive()
        manager.stopping()
    assert [systemd.recv(100) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"STOPPING=1"]


def test_one_that_is_restarted_meanwhile_ends_nothing(systemd: socket.socket) -> None:
    with ServiceManager() as manager:
        systemd.close()
        manager.alive()


def test_a_program_that_nobody_manages_tells_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    with ServiceManager() as manager:
        manager.ready()
        manager.alive()
