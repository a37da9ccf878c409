"""`sall-edge store`: what a device keeps."""

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sall_edge.cli.arguments import Json
from sall_edge.cli.store_key import KeyCommand, KeyFile, StoreFolder, store_key

if TYPE_CHECKING:
    from sall_edge.screening.examination.record import Examination

__all__ = ["store"]

store = typer.Typer(no_args_is_help=True, help="What a device keeps: examinations, photographs, the log of verdicts.")

Identifier = Annotated[str, typer.Argument(metavar="ID", help="Of the examination.")]


@store.command("new-key")
def new_key(file: Annotated[Path, typer.Argument(metavar="FILE", help="Must not be there yet.")]) -> None:
    """A file with a new random key, for its owner only. Keep a copy elsewhere: without it nothing can be read."""
    from sall_edge.screening.store.key import write_new_key

    typer.echo(write_new_key(file))


@store.command("new")
def new(folder: StoreFolder, key: KeyFile = None, key_command: KeyCommand = None) -> None:
    """An empty store, encrypted with the key."""
    from sall_edge.screening.store.opening import create_store

    secret = store_key(key, key_command)
    if secret is None:
        typer.echo("note: no key was given: persons and photographs will lie in it unencrypted", err=True)
    typer.echo(create_store(folder, secret))


@store.command("migrate")
def migrate(folder: StoreFolder, key: KeyFile = None, key_command: KeyCommand = None) -> None:
    """Brings an older store to this program's form, after a copy of its database; does nothing where it is."""
    from sall_edge.screening.store.opening import open_store

    open_store(folder, store_key(key, key_command)).close()
    typer.echo(folder)


@store.command("list")
def list_examinations(
    folder: StoreFolder,
    since: Annotated[datetime | None, typer.Option(help="UTC; begun then or later.")] = None,
    reference: Annotated[str | None, typer.Option(help="Of one person, exactly.")] = None,
    key: KeyFile = None,
    key_command: KeyCommand = None,
    as_json: Json = False,
) -> None:
    """Examinations, oldest first."""
    from sall_edge.screening.store.reader import read_store

    moment = None if since is None else since.replace(tzinfo=timezone.utc)
    with read_store(folder, store_key(key, key_command)) as opened:
        found = opened.examinations(since=moment, reference=reference)
    if as_json:
        typer.echo(json.dumps([one.model_dump(mode="json") for one in found], indent=2))
        return
    for one in found:
        typer.echo(_line(one))


@store.command("show")
def show(
    folder: StoreFolder,
    examination_id: Identifier,
    key: KeyFile = None,
    key_command: KeyCommand = None,
    as_json: Json = False,
) -> None:
    """One examination."""
    from sall_edge.screening.store.reader import read_store

    with read_store(folder, store_key(key, key_command)) as opened:
        found = opened.examination(examination_id)
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
        return
    typer.echo(_line(found))
    for result in found.eyes.values():
        typer.echo(f"  {result.eye.value}  {result.outcome.value}  {' '.join(result.reasons)}")
    for photograph, counted in zip(found.photographs, found.counted, strict=True):
        verdict = photograph.screened.verdict
        word = "unreadable" if verdict is None else verdict.value
        place = f"{photograph.eye.value} {photograph.view.value} {photograph.attempt}"
        moved = "" if counted.eye is photograph.eye else f"  corrected to {counted.eye.value}"
        typer.echo(f"  photograph  {place}  {word}  {photograph.sha256}  {photograph.photograph_id}{moved}")


@store.command("correct-side")
def correct_side(
    folder: StoreFolder,
    photographs: Annotated[list[str], typer.Argument(metavar="PHOTOGRAPH_ID...", help="Of the other eye; store show.")],
    engine: Annotated[Path, typer.Option(help="Bundle folder of the engine that graded them; it is not run.")],
    programme: Annotated[str, typer.Option(help="That was followed: a name, or a TOML of your own.")] = "icdr",
    by: Annotated[str | None, typer.Option(help="Who says so, for the record.")] = None,
    key: KeyFile = None,
    key_command: KeyCommand = None,
) -> None:
    """Counts photographs of a finished examination for the other eye, and decides it anew; nothing is overwritten.

    Each is an entry of its own in the log. sall-edge report writes the documents again, which say that it was done.
    """
    from sall_edge.artifacts import open_engine
    from sall_edge.screening.examination.programme import load_programme
    from sall_edge.screening.station.correcting import correct_side as correct_one_side
    from sall_edge.screening.store.opening import open_store

    followed, graded = load_programme(programme), open_engine(engine)
    with open_store(folder, store_key(key, key_command)) as opened:
        for one in photographs:
            done = correct_one_side(opened, one, programme=followed, engine=graded, by=by)
            said = done.corrections[-1]
            typer.echo(f"{one}  {said.eye_was.value} -> {said.eye_is.value}  {done.outcome.value}")


@store.command("backup")
def backup(
    folder: StoreFolder,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Tar file; replaced if it is there.")],
    key: KeyFile = None,
    key_command: KeyCommand = None,
) -> None:
    """One file that holds the whole store, as encrypted as it is; the device may go on meanwhile."""
    from sall_edge.screening.store.backup import write_backup
    from sall_edge.screening.store.opening import open_store

    with open_store(folder, store_key(key, key_command)) as opened:
        done = write_backup(opened, file)
    typer.echo(f"{done.path}  {done.photographs} photographs  {done.size_bytes / 1e6:.1f} MB  sha256 {done.sha256}")


@store.command("restore")
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Of store backup.")],
    folder: Annotated[Path, typer.Argument(metavar="STORE", help="New folder.")],
    key: KeyFile = None,
    key_command: KeyCommand = None,
) -> None:
    """A store from a backup; it appears when all of it was verified."""
    from sall_edge.screening.store.backup import restore as restore_backup

    typer.echo(restore_backup(file, folder, store_key(key, key_command)))


@store.command("delete")
def delete(
    folder: StoreFolder,
    examinations: Annotated[list[str], typer.Argument(metavar="ID...", help="Finished or not; store list.")],
    why: Annotated[str, typer.Option(help="Stays in the log for ever, so it names nobody: erasure asked for.")],
    key: KeyFile = None,
    key_command: KeyCommand = None,
) -> None:
    """Deletes examinations with their person and photographs, at once and for ever; the log keeps that and hashes.

    An ID that is not there deletes none of them. Backups and documents that were written are not touched.
    """
    from sall_edge.screening.store.opening import open_store

    if not why.strip():
        raise typer.BadParameter("--why is empty: the log has to say why a verdict leads to nobody any more")
    with open_store(folder, store_key(key, key_command)) as opened:
        for one in dict.fromkeys(examinations):
            opened.examination(one)  # all are there before the first is gone
        for one in dict.fromkeys(examinations):
            opened.delete(one, why=why)
            typer.echo(f"{one}  deleted")


@store.command("retain")
def retain(
    folder: StoreFolder,
    keep_days: Annotated[int, typer.Option(min=1, help="Since an examination was finished.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be deleted; delete nothing.")] = False,
    key: KeyFile = None,
    key_command: KeyCommand = None,
) -> None:
    """Deletes finished examinations with their photographs when they are old enough; the log keeps that."""
    from sall_edge.screening.store.opening import open_store
    from sall_edge.screening.store.reader import read_store
    from sall_edge.screening.store.retention import expired
    from sall_edge.screening.store.retention import retain as delete_expired

    secret = store_key(key, key_command)
    if dry_run:
        with read_store(folder, secret) as readable:
            gone = expired(readable, keep_days=keep_days)
    else:
        with open_store(folder, secret) as opened:
            gone = delete_expired(opened, keep_days=keep_days)
    for one in gone:
        typer.echo(f"{one.examination_id}  finished {one.finished_at}  {one.photographs} photographs")
    typer.echo(f"{len(gone)} examinations {'would be' if dry_run else 'were'} deleted")


def _line(examination: "Examination") -> str:
    """An examination on one line; with the person's reference, which whoever has the key may see."""
    started = f"{examination.started_at:%Y-%m-%d %H:%M:%S}"
    outcome = examination.outcome.value if examination.finished_at is not None else "unfinished"
    photographs = f"{len(examination.photographs)} photographs"
    return f"{examination.examination_id}  {started}  {outcome}  {photographs}  {examination.person.reference}"
