"""`sall-edge export`."""

from pathlib import Path
from typing import Annotated

import typer

from sall_edge.artifacts import open_checkpoint
from sall_edge.cli.arguments import Output

__all__ = ["export"]


def export(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="Folder that train wrote.")], output: Output
) -> None:
    """An FP32 ONNX graph: pixels in, calibrated probabilities and activation maps out."""
    from engines.export import export as export_graph

    model = export_graph(open_checkpoint(checkpoint), output)
    typer.echo(f"{model.path}  sha256 {model.sha256}")
