"""`sall-edge split`."""

from pathlib import Path
from typing import Annotated

import typer

from sall_edge.cli.arguments import Output

__all__ = ["split"]


def split(
    labels: Annotated[Path, typer.Argument(metavar="LABELS", help="Labels CSV; rows that name a split keep it.")],
    output: Output,
    val: Annotated[float, typer.Option(min=0, max=1, help="Share of the patients to choose thresholds on.")] = 0.15,
    test: Annotated[float, typer.Option(min=0, max=1, help="Share of the patients to measure on.")] = 0.2,
    by: Annotated[
        list[str] | None,
        typer.Option(help="Column that every split gets in the same proportions, such as a grade. May be given again."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Draws other splits.")] = 0,
) -> None:
    """A copy of a labels CSV with train, val and test, patient by patient."""
    from sall_edge.fundus.splitting import write_splits

    if val + test >= 1:
        raise typer.BadParameter(f"--val {val} and --test {test} leave nothing to train on")
    counts = write_splits(labels, output, val=val, test=test, by=by or (), seed=seed)
    typer.echo(f"{output}: " + ", ".join(f"{counts[name]} {name}" for name in sorted(counts)))
