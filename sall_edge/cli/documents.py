"""How a command is told which documents to write, for whom, and in which language."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sall_edge.screening.report.kinds import DocumentKind, Readers

if TYPE_CHECKING:
    from sall_edge.screening.messages import Catalogue

__all__ = ["Formats", "Language", "ReadableBy", "catalogue_of"]

Formats = Annotated[list[DocumentKind] | None, typer.Option("--format", help="Of the documents. May be given again.")]
ReadableBy = Annotated[Readers, typer.Option("--readable-by", help="Who may read the documents: docs/reports.md.")]
Language = Annotated[str, typer.Option(help="en, de, es or fr, or a catalogue (TOML) of your own.")]


def catalogue_of(language: str) -> "Catalogue":
    """The catalogue of a language that ships, or the one in a TOML file.

    Raises:
        CatalogueError: There is none, or it breaks a rule.
    """
    from sall_edge.screening.messages import load_catalogue, load_language

    return load_catalogue(Path(language)) if language.endswith(".toml") else load_language(language)
