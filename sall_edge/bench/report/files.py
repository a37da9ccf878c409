"""Where a report goes, and whether it can be made: asked before anything is measured, not after ten minutes."""

from importlib.util import find_spec
from pathlib import Path

from sall_edge.errors import BackendMissing, OutputError
from sall_edge.writing import check_writable

__all__ = ["beside", "check_page", "check_report"]

LIBRARIES = ("jinja2", "matplotlib")


def beside(page: Path) -> tuple[Path, Path]:
    """The JSON and the Markdown that belong to a page."""
    return page.with_suffix(".json"), page.with_suffix(".md")


def check_report(page: Path) -> None:
    """Whether a bench's three files can be written.

    Raises:
        BackendMissing: A library that makes the page is not installed.
        OutputError: The page would have the name of a file beside it, or one of the places cannot be written.
    """
    others = beside(page)
    if page in others:
        what = f"the page cannot be {page}"
        raise OutputError(what, "its JSON and Markdown have its name with .json and .md", f"take {page.stem}.html")
    check_page(page)
    for other in others:
        check_writable(other)


def check_page(page: Path) -> None:
    """Whether a page can be written.

    The libraries are looked up and not imported: what they take would count as memory of the engine that is measured.

    Raises:
        BackendMissing: A library that makes the page is not installed.
        OutputError: The place cannot be written.
    """
    for library in LIBRARIES:
        if find_spec(library) is None:
            raise BackendMissing(
                f"{library} is not installed",
                f"it makes {page.name}; nothing was measured yet",
                "pip install 'sall-edge[report]', or leave --html away",
            )
    check_writable(page)
