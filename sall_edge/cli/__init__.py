"""`sall-edge`: one file per command; the only place that prints, exits or reads the environment."""

import sys
from collections.abc import Sequence
from importlib import import_module

import typer

from sall_edge.errors import GateRefused, SallEdgeError

__all__ = ["COMMANDS", "command_line", "main"]

COMMANDS = (
    "demo",
    "doctor",
    "phantom",
    "aiming",
    "split",
    "train",
    "study",
    "evaluate",
    "explain",
    "export",
    "calibrate",
    "sensitivity",
    "build",
    "rebuild",
    "inspect",
    "bench",
    "screen",
    "quality",
    "camera",
    "report",
    "store",
    "audit",
)
"""In the order of the help. Each is a function of its name in the module of its name, or a Typer of several."""

HELP = "Train, compile, prove and run retinal-disease networks on Jetson-class devices and CPUs. Research use only."


def command_line(commands: Sequence[str] = COMMANDS) -> typer.Typer:
    """The program with these commands; only their modules are imported."""
    app = typer.Typer(name="sall-edge", no_args_is_help=True, pretty_exceptions_enable=False, help=HELP)
    app.callback()(lambda: None)  # or Typer would take the command of a program that has one for the program itself
    for name in commands:
        command = getattr(import_module(f"sall_edge.cli.{name}"), name)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name)(command)
    return app


def main() -> None:
    """Runs a command; exit 0 done, 1 failed with a reason, 2 usage, 3 a gate said no."""
    named = [name for name in sys.argv[1:2] if name in COMMANDS]
    try:
        command_line(named or COMMANDS)()
    except SallEdgeError as problem:
        print(f"error: {problem}", file=sys.stderr)  # noqa: T201  the one place that prints errors
        sys.exit(3 if isinstance(problem, GateRefused) else 1)
