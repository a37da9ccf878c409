"""`sall-edge doctor`."""

import json
from dataclasses import asdict

import typer

from sall_edge.cli.arguments import Json
from sall_edge.cli.caches import cache_folder

__all__ = ["doctor"]


def doctor(as_json: Json = False) -> None:
    """What this machine can build and run, and the remedy for what it cannot."""
    from engines.targets import load_target
    from sall_edge.runtime.jetson import read_device
    from sall_edge.runtime.machine import checks

    device = read_device()
    workspace_mib = load_target(device.target).workspace_mib if device and device.target else None
    found = checks(device, cache=cache_folder(), workspace_mib=workspace_mib)
    if as_json:
        typer.echo(json.dumps({"checks": [asdict(check) for check in found]}, indent=2))
        return
    for check in found:
        typer.echo(f"{'ok  ' if check.ok else 'no  '} {check.name:24s} {check.detail}")
        if not check.ok and check.fix:
            typer.echo(f"     fix: {check.fix}")
