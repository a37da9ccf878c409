"""`sall-edge`: one file per command; the only place that prints, exits or reads the environment."""

import sys

import typer

from sall_edge.cli import (
    bench,
    build,
    calibrate,
    demo,
    doctor,
    evaluate,
    explain,
    export,
    inspect,
    phantom,
    rebuild,
    screen,
    sensitivity,
    split,
    study,
    train,
)
from sall_edge.errors import GateRefused, SallEdgeError

__all__ = ["app", "main"]

app = typer.Typer(
    name="sall-edge",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Train, compile, prove and run retinal-disease networks on Jetson-class devices and CPUs. Research use only.",
)
app.command()(demo.demo)
app.command()(doctor.doctor)
app.command()(phantom.phantom)
app.command()(split.split)
app.command()(train.train)
app.command()(study.study)
app.command()(evaluate.evaluate)
app.command()(explain.explain)
app.command()(export.export)
app.command()(calibrate.calibrate)
app.command()(sensitivity.sensitivity)
app.command()(build.build)
app.command()(rebuild.rebuild)
app.command()(inspect.inspect)
app.command()(bench.bench)
app.command()(screen.screen)


def main() -> None:
    """Runs a command; exit 0 done, 1 failed with a reason, 2 usage, 3 a gate said no."""
    try:
        app()
    except SallEdgeError as problem:
        print(f"error: {problem}", file=sys.stderr)  # noqa: T201  the one place that prints errors
        sys.exit(3 if isinstance(problem, GateRefused) else 1)
