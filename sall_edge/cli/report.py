"""`sall-edge report`."""

from pathlib import Path
from typing import Annotated

import typer

from sall_edge.artifacts import open_engine
from sall_edge.cli.caches import compiled_cache
from sall_edge.cli.documents import Formats, Language, ReadableBy, catalogue_of
from sall_edge.cli.store_key import KeyCommand, KeyFile, StoreFolder, store_key
from sall_edge.screening.report.kinds import DocumentKind, Readers

__all__ = ["report"]


def report(
    store: StoreFolder,
    examination: Annotated[str, typer.Argument(metavar="ID", help="Of the examination; sall-edge store list.")],
    engine: Annotated[Path, typer.Option(help="Bundle folder of the engine that graded it.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the documents.")],
    programme: Annotated[str, typer.Option(help="That it followed: a name, or a TOML of your own.")] = "icdr",
    formats: Formats = None,
    language: Language = "en",
    readable_by: ReadableBy = Readers.OWNER,
    key: KeyFile = None,
    key_command: KeyCommand = None,
) -> None:
    """Writes the documents of a stored examination again: in another format, in another language."""
    from sall_edge.runtime.session import open_session
    from sall_edge.screening.examination.programme import load_programme
    from sall_edge.screening.station.documents import Documents
    from sall_edge.screening.store.reader import read_store

    documents = Documents(
        output,
        formats or [DocumentKind.PDF],
        catalogue=catalogue_of(language),
        programme=load_programme(programme),
        readers=readable_by,
    )
    with (
        read_store(store, store_key(key, key_command)) as kept,
        open_session(open_engine(engine), compiled_cache=compiled_cache()) as session,
    ):
        for path in documents.write(kept.examination(examination), kept, session):
            typer.echo(path)
