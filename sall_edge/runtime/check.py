"""One finding of `sall-edge doctor`."""

from dataclasses import dataclass

__all__ = ["Check"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line of `sall-edge doctor`.

    Attributes:
        name: What was looked at.
        ok: False when something that this project needs or offers is not there.
        detail: What was found.
        fix: What to do about it; empty when ok.
    """

    name: str
    ok: bool
    detail: str
    fix: str = ""
