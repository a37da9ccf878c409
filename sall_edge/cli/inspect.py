"""`sall-edge inspect`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from sall_edge.artifacts import open_engine
from sall_edge.cli.arguments import Json

__all__ = ["inspect"]


def inspect(
    engine: Annotated[Path, typer.Argument(metavar="ENGINE", help="Bundle folder.")], as_json: Json = False
) -> None:
    """What an engine is: target, precision, tasks, operating points, hashes (verified), how it was made."""
    bundle = open_engine(engine)
    manifest = bundle.manifest
    if as_json:
        typer.echo(manifest.model_dump_json(indent=2))
        return
    typer.echo(f"{bundle.path}  every file's hash is right\n  sha256      {bundle.sha256}")
    typer.echo(f"  target      {manifest.target.name}: {manifest.target.title}")
    compiler = f"{manifest.target.backend.value} {manifest.backend_version}"
    typer.echo(f"  precision   {manifest.precision.value}, compiled by {compiler}")
    typer.echo(f"  image       {manifest.image.side_px} px, preprocessing version {manifest.image.prepare_version}")
    for task in manifest.tasks:
        referable = ", ".join(task.grades[task.referable_from :])
        typer.echo(f"  task        {task.name}: {', '.join(task.grades)}; referable: {referable}")
        typer.echo(f"              called referable from P = {manifest.operating_points[task.name]:.3f}")
    for name, digest in manifest.files.items():
        size_mb = (bundle.path / name).stat().st_size / 1e6
        typer.echo(f"  file        {name}  {size_mb:.2f} MB  sha256 {digest[:16]}")
    typer.echo("\n".join(_lines(manifest.provenance, "  ")))


def _lines(facts: dict[str, Any], indent: str) -> Iterator[str]:
    """Nested facts, a line each, deeper ones further to the right."""
    for name, value in facts.items():
        if isinstance(value, dict):
            yield f"{indent}{name}"
            yield from _lines(value, indent + "  ")
        else:
            items = value if isinstance(value, list) else [value]
            words = (" ".join(map(str, item.values())) if isinstance(item, dict) else str(item) for item in items)
            yield f"{indent}{name:11s} {', '.join(words) or 'none'}"
