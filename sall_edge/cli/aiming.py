"""`sall-edge aiming`."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["aiming"]


def aiming(
    photographs: Annotated[list[Path], typer.Argument(metavar="PHOTO", help="In the order of their aiming.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the frames: camera --source frames:DIR.")],
    held: Annotated[float, typer.Option(min=0.5, help="Seconds that each is held in the middle.")] = 2.0,
    height: Annotated[int, typer.Option(min=360, max=2160, help="Lines of a frame.")] = 1080,
    frames_per_s: Annotated[float, typer.Option("--fps", min=5, max=60, help="Frames a second.")] = 15.0,
    seed: Annotated[int, typer.Option(min=0, help="Shakes the hand otherwise.")] = 0,
) -> None:
    """A recorded aiming: photographs moved into view, into focus and into light, to be played as a camera."""
    from sall_edge.cli.progress import progress_bar
    from sall_edge.fundus.decode import decode, read_bytes
    from sall_edge.fundus.phantom.aiming import Still, write_aiming

    stills = [Still(pixels=decode(read_bytes(path), name=str(path)).pixels, held_s=held) for path in photographs]
    size = {"width_px": height * 16 // 9, "height_px": height}
    with progress_bar("drawing frames", sum(still.frames(frames_per_s) for still in stills)) as bar:
        write_aiming(stills, output, seed=seed, frames_per_s=frames_per_s, advance=bar.advance, **size)
    typer.echo(output)
