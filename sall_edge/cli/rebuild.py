"""`sall-edge rebuild`."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sall_edge.artifacts import open_engine
from sall_edge.cli.caches import timing_caches
from sall_edge.cli.progress import ProgressBar

if TYPE_CHECKING:
    from sall_edge.artifacts import Engine

__all__ = ["rebuild"]


def rebuild(
    engine: Annotated[Path, typer.Argument(metavar="ENGINE", help="Bundle folder.")],
    force: Annotated[bool, typer.Option("--force", help="Even when this machine's version wrote it.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout; progress as JSON lines on stderr.")] = False,
) -> None:
    """Compiles an engine's own graph with this machine's compiler, proves it on the probes, and replaces the engine.

    Exit 3 when the probes are not decided as they were judged; the old engine then stays.
    """
    from engines.compiled import CompilerOptions
    from engines.rebuild import is_current
    from engines.rebuild import rebuild as compile_again

    old = open_engine(engine)
    if is_current(old) and not force:
        typer.echo(_json(old, is_rebuilt=False) if as_json else f"{_compiler(old)} wrote {engine}: nothing to do")
        return
    if as_json:
        with _tidied_up_on_sigterm():
            new = compile_again(old, options=CompilerOptions(progress=_JsonLines(), timing_caches=timing_caches()))
        typer.echo(_json(new, is_rebuilt=True))
        return
    with ProgressBar() as progress, _tidied_up_on_sigterm():
        new = compile_again(old, options=CompilerOptions(progress=progress, timing_caches=timing_caches()))
    typer.echo(f"{new.path}  sha256 {new.sha256}  {_compiler(new)}, {new.manifest.provenance['rebuilt']['verified']}")


@contextmanager
def _tidied_up_on_sigterm() -> Iterator[None]:
    """Ends the block as Ctrl-C does: a service that stops, or the owner of a background rebuild, sends SIGTERM."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _compiler(engine: "Engine") -> str:
    return f"{engine.manifest.target.backend.value} {engine.manifest.backend_version}"


class _JsonLines:
    """Progress for a process that reads it."""

    def stage(self, name: str, total: int) -> None:
        typer.echo(json.dumps({"stage": name, "total": total}), err=True)

    def advance(self, n: int = 1) -> None:
        typer.echo(json.dumps({"steps": n}), err=True)


def _json(engine: "Engine", *, is_rebuilt: bool) -> str:
    manifest = engine.manifest
    facts = {
        "engine": str(engine.path),
        "sha256": engine.sha256,
        "backend": manifest.target.backend.value,
        "backend_version": manifest.backend_version,
        "is_rebuilt": is_rebuilt,
        "rebuilt": manifest.provenance.get("rebuilt"),
    }
    return json.dumps(facts, indent=2)
