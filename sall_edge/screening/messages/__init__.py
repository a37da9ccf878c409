"""What people read, in their language: one catalogue for the page, the terminal and the documents."""

from sall_edge.screening.messages.catalogue import Catalogue, languages, load_catalogue, load_language

__all__ = ["Catalogue", "languages", "load_catalogue", "load_language"]
