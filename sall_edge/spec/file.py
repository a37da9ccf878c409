"""Descriptions from TOML files: a user's own, and those that ship."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from sall_edge.errors import SallEdgeError
from sall_edge.spec.base import Spec, broken_rules

if sys.version_info >= (3, 11):
    import tomllib
else:  # JetPack 6 has Python 3.10
    import tomli as tomllib

__all__ = ["ShippedSpecs", "spec_from_toml"]

SpecT = TypeVar("SpecT", bound=Spec)


def spec_from_toml(path: Path, model: type[SpecT], error: type[SallEdgeError], *, example: str) -> SpecT:
    """The spec that a TOML file holds.

    Args:
        path: The file.
        model: What it holds.
        error: What is raised.
        example: Where such a file is described, for the error message.

    Raises:
        SallEdgeError: Of the given type, when the file is missing, is no TOML or breaks a rule of the spec.
    """
    try:
        content: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        return model.model_validate(content)
    except OSError as cause:
        raise error(f"cannot read {path}", str(cause.strerror or cause), "check the path") from cause
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as cause:
        raise error(f"{path} is not TOML", str(cause), f"see {example} for a complete example") from cause
    except ValidationError as cause:
        raise error(f"{path} breaks a rule", broken_rules(cause), "correct the named entries") from cause


@dataclass(frozen=True, slots=True, kw_only=True)
class ShippedSpecs(Generic[SpecT]):
    """The specs of one kind that ship, one TOML file each; a user may give the path of a file in place of a name.

    Attributes:
        kind: What one of them is called, for the error messages.
        folder: Holds the files; a spec is called as its file is.
        model: What a file holds.
        error: What is raised.
        example: Where such a file is described, for the error messages.
    """

    kind: str
    folder: Path
    model: type[SpecT]
    error: type[SallEdgeError]
    example: str

    def names(self) -> tuple[str, ...]:
        """The names that `load` knows, in alphabetical order."""
        return tuple(sorted(file.stem for file in self.folder.glob("*.toml")))

    def load(self, name_or_path: str | Path) -> SpecT:
        """The spec of that name, or the one in a TOML file.

        Args:
            name_or_path: What ends in `.toml` is a path, everything else a name.

        Raises:
            SallEdgeError: Of the given type, when there is no such spec, or when the file breaks a rule.
        """
        if str(name_or_path).endswith(".toml"):
            return spec_from_toml(Path(name_or_path), self.model, self.error, example=self.example)
        if str(name_or_path) not in self.names():
            raise self.error(
                f"there is no {self.kind} {name_or_path}",
                f"these ship: {', '.join(self.names())}",
                f"take one of them, or write your own ({self.example}) and give its path, which ends in .toml",
            )
        return spec_from_toml(self.folder / f"{name_or_path}.toml", self.model, self.error, example=self.example)
