"""Options that several commands share, with one wording."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["Json", "Labels", "Output", "Split"]

Labels = Annotated[
    list[Path], typer.Option("--labels", help="Labels CSV; image paths are relative to it. May be given again.")
]
Split = Annotated[str, typer.Option(help="Which rows: the split column's value.")]
Output = Annotated[Path, typer.Option("--output", "-o", help="Where the result goes.")]
Json = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]
