"""`sall-edge sensitivity`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sall_edge.cli.arguments import Json, Labels, Split
from sall_edge.spec import RangeMethod

if TYPE_CHECKING:
    from calibration.sensitivity import Cost, Sensitivity

__all__ = ["sensitivity"]

_SHOWN = 15


def sensitivity(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="FP32 graph that export wrote.")],
    labels: Labels,
    split: Split = "train",
    count: Annotated[int, typer.Option(min=8, help="Photographs, chosen by grade and source.")] = 128,
    method: Annotated[RangeMethod, typer.Option(help="How a range is read from a histogram.")] = RangeMethod.MSE,
    seed: Annotated[int, typer.Option(min=0, help="Chooses the photographs.")] = 0,
    picture: Annotated[Path | None, typer.Option(help="Also draw it, as a PNG.")] = None,
    as_json: Json = False,
) -> None:
    """What each layer costs in INT8: alone, and with the costliest ones given back to float."""
    from calibration.graphs import open_onnx_model
    from calibration.ranges import measure_ranges
    from calibration.sensitivity import measure_sensitivity, step_count
    from sall_edge.cli.calibrate import Calibration, calibration_set
    from sall_edge.cli.progress import ProgressBar

    graph = open_onnx_model(model)
    with ProgressBar() as progress:
        chosen = Calibration(labels=labels, split=split, count=count, method=method, seed=seed)
        prepared = calibration_set(graph, chosen, progress)
        progress.stage("measuring ranges", len(prepared.squares))
        ranges = measure_ranges(graph, prepared.squares, method=method, advance=progress.advance)
        progress.stage("quantizing layers", step_count(graph))
        found = measure_sensitivity(graph, ranges, prepared.squares, advance=progress.advance)
    if picture is not None:
        from sall_edge.bench.report.sensitivity_plot import draw_sensitivity

        draw_sensitivity([(cost.layer, cost.kl) for cost in found.alone], picture)
    typer.echo(found.model_dump_json(indent=2) if as_json else sensitivity_table(found))


def sensitivity_table(found: "Sensitivity") -> str:
    """The costliest layers, and what is left when they are given back, as lines for people."""
    head = f"{'':44s}{'KL, nats':>10s}{'grades':>9s}{'referrals':>11s}"
    lines = [f"{found.images} photographs; shares of answers that change", "", head, "one layer in INT8"]
    lines += [_line(cost.layer, cost) for cost in found.alone[:_SHOWN]]
    if len(found.alone) > _SHOWN:
        lines.append(f"  and {len(found.alone) - _SHOWN} layers that cost less")
    lines.append(f"all {len(found.alone)} layers in INT8, but for the costliest")
    lines += [_line(f"{count}" if count else "none", cost) for count, cost in found.given_back]
    return "\n".join(lines)


def _line(name: str, cost: "Cost") -> str:
    return f"  {name[-41:]:42s}{cost.total_kl:10.5f}{cost.grades:9.2%}{cost.referrals:11.2%}"
