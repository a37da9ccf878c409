"""Where the command line keeps what it may not lose, unless it is told another place: the user's data folder."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from sall_edge.screening.store.key import Key
    from sall_edge.screening.store.store import Store

__all__ = ["data_folder", "store_there"]


def data_folder() -> Path:
    """`$XDG_DATA_HOME/sall-edge`, or `~/.local/share/sall-edge`; it need not exist."""
    home_data = os.path.expanduser("~/.local/share")  # noqa: PTH111  # Path.home() raises where nobody knows the home
    return Path(os.environ.get("XDG_DATA_HOME") or home_data) / "sall-edge"


def store_there(folder: Path, key: "Key | None") -> "Store":
    """The store, made where there is none, which is said.

    Raises:
        StoreError: It cannot be opened or made; see `open_store`.
    """
    from sall_edge.screening.store.opening import create_store, open_store

    if not folder.exists():
        create_store(folder, key)
        unencrypted = "" if key else ": without --key persons and photographs lie in it unencrypted"
        typer.echo(f"note: made the store {folder}{unencrypted}", err=True)
    return open_store(folder, key)
