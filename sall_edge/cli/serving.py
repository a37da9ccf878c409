"""The session of a command that serves: the engine's own, or the CPU's that stands in for it, which is said."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from sall_edge.cli.caches import compiled_cache

if TYPE_CHECKING:
    from sall_edge.artifacts import Engine
    from sall_edge.runtime.serving import StandIn
    from sall_edge.runtime.session import Session

__all__ = ["serving"]


@contextmanager
def serving(engine: "Engine", *, streams: int = 1) -> "Iterator[tuple[Session, StandIn | None]]":
    """An open session, and what stands in for the engine; the latter was told on stderr.

    Raises:
        SallEdgeError: See `open_serving`.
    """
    from sall_edge.runtime.serving import open_serving

    session, stand_in = open_serving(engine, streams=streams, compiled_cache=compiled_cache())
    with session:
        if stand_in is not None:
            typer.echo(f"note: {stand_in}", err=True)
        yield session, stand_in
