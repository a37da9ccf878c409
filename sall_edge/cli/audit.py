"""`sall-edge audit`: whether what is stored is what was written."""

import json
import re
from dataclasses import asdict
from typing import Annotated, NoReturn

import typer

from sall_edge.cli.arguments import Json
from sall_edge.cli.store_key import KeyCommand, KeyFile, StoreFolder, store_key
from sall_edge.errors import AuditBroken

__all__ = ["audit"]

audit = typer.Typer(no_args_is_help=True, help="Whether what a store holds is what was written.")


def _hash(value: str | None) -> str | None:
    if value is not None and not re.fullmatch("[0-9a-f]{64}", value):
        raise typer.BadParameter("64 hexadecimal digits, as sall-edge audit head prints them")
    return value


@audit.command("verify")
def verify_store(
    folder: StoreFolder,
    key: KeyFile = None,
    key_command: KeyCommand = None,
    head: Annotated[
        str | None, typer.Option(callback=_hash, metavar="HASH", help="Kept elsewhere; the log has to hold it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Holds every entry of the log, every row and every photograph against each other. Exit 1 names what is broken."""
    from sall_edge.screening.store.reader import read_store
    from sall_edge.screening.store.verify import verify

    with read_store(folder, store_key(key, key_command)) as store:
        try:
            found = verify(store, head=head)
        except AuditBroken as problem:
            if as_json:
                _say_broken(problem)
            raise
    if as_json:
        typer.echo(json.dumps({"whole": True, **asdict(found)}, indent=2))
        return
    typer.echo(f"whole: {found.head.seq} entries, {found.examinations} examinations, {found.photographs} photographs")
    typer.echo(f"head {found.head.seq} {found.head.hash}")


@audit.command("head")
def show_head(folder: StoreFolder, key: KeyFile = None, key_command: KeyCommand = None, as_json: Json = False) -> None:
    """The number and the hash of the last entry: keep them elsewhere, `audit verify --head` asks for them again."""
    from sall_edge.screening.store.reader import read_store
    from sall_edge.screening.store.verify import log_head

    with read_store(folder, store_key(key, key_command)) as store:
        head = log_head(store)
    typer.echo(json.dumps(asdict(head)) if as_json else f"{head.seq} {head.hash}")


def _say_broken(problem: AuditBroken) -> NoReturn:
    error = {"what": problem.what, "why": problem.why, "fix": problem.fix}
    typer.echo(json.dumps({"whole": False, "error": error}, indent=2))
    raise typer.Exit(1)
