"""How a command is told the key of a store."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sall_edge.errors import BackendMissing

if TYPE_CHECKING:
    from sall_edge.screening.store.key import Key

__all__ = ["KeyCommand", "KeyFile", "StoreFolder", "store_key"]

StoreFolder = Annotated[Path, typer.Argument(metavar="STORE", help="The store's folder.")]
KeyFile = Annotated[Path | None, typer.Option("--key", help="File with the store's key.")]
KeyCommand = Annotated[
    str | None, typer.Option(help="Command that prints the store's key, such as tpm2_unseal; no shell runs it.")
]


def store_key(key: Path | None, key_command: str | None) -> "Key | None":
    """The key of the file or of the command; None where neither is given.

    Raises:
        BackendMissing: What a store needs is not installed.
        StoreLocked: There is no key there.
    """
    for library in ("sqlalchemy", "alembic"):
        if find_spec(library) is None:
            fix = "pip install 'sall-edge[screening]'"
            raise BackendMissing(f"{library} is not installed", "a store is kept with it", fix)
    from sall_edge.screening.store.key import key_from_command, key_from_file

    if key is not None and key_command is not None:
        raise typer.BadParameter("--key and --key-command are two ways to give one key: give one of them")
    if key is not None:
        return key_from_file(key)
    return None if key_command is None else key_from_command(key_command)
