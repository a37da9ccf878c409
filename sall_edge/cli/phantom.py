"""`sall-edge phantom`."""

from pathlib import Path
from typing import Annotated

import typer

from sall_edge.spec import Labelling

__all__ = ["phantom"]


def phantom(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for images/ and labels.csv.")],
    count: Annotated[int, typer.Option(min=1, help="Number of photographs.")] = 400,
    side: Annotated[int, typer.Option(min=256, help="Side of a photograph, in pixels.")] = 768,
    seed: Annotated[int, typer.Option(min=0, help="Draws other photographs.")] = 0,
    labelling: Annotated[
        Labelling, typer.Option(help="complete, or one-disease: training photographs keep one disease's label.")
    ] = Labelling.COMPLETE,
) -> None:
    """Synthetic photographs with known grades, and their labels.csv."""
    from sall_edge.cli.progress import progress_bar
    from sall_edge.fundus.phantom import write_phantoms

    with progress_bar("drawing", count) as bar:
        labels = write_phantoms(out, count=count, side_px=side, seed=seed, labelling=labelling, advance=bar.advance)
    typer.echo(labels)
