"""Options that several commands share, with one wording."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["Backbone", "Consistency", "Json", "Labels", "Output", "Side", "Split", "Views", "Weights"]

Labels = Annotated[
    list[Path], typer.Option("--labels", help="Labels CSV; image paths are relative to it. May be given again.")
]
Split = Annotated[str, typer.Option(help="Which rows: the split column's value.")]
Output = Annotated[Path, typer.Option("--output", "-o", help="Where the result goes.")]
Json = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]

Backbone = Annotated[str, typer.Option(help="Any timm model.")]
Weights = Annotated[str, typer.Option(help="imagenet, none, or a file.")]
Side = Annotated[int, typer.Option(min=32, max=2048, help="Side of the square, in pixels.")]
Consistency = Annotated[
    float,
    typer.Option(min=0, help="Weight of the agreement of two views of every photograph; 0 halves the time."),
]
Views = Annotated[
    int, typer.Option(min=0, help="Augmented versions that frozen layers see once; 0: anew in every epoch.")
]
