"""Texts of one language, by the keys that records and events carry. No library beside the standard one.

A catalogue is a TOML file of sections; `load_language` opens one that ships, `load_catalogue` a clinic's own, which
says with `based_on` what it changes. Every catalogue has the same keys and the same placeholders, or it does not open.
"""

import string
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sall_edge.errors import CatalogueError
from sall_edge.spec import Eye, Task

if sys.version_info >= (3, 11):
    import tomllib
else:  # JetPack 6 has Python 3.10
    import tomli as tomllib

__all__ = ["Catalogue", "languages", "load_catalogue", "load_language"]

FOLDER = Path(__file__).parent
REFERENCE = "en"
"""The language that says which keys and placeholders there are."""

OPEN_SECTIONS = ("task", "grade", "not_assessed")
"""A clinic's own catalogue may add keys to these: its engines and programmes may have others than those that ship."""

ABOUT = ("language", "name", "based_on")


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """The texts of one language.

    Attributes:
        language: BCP 47 tag, such as "de": what a screen reader pronounces the texts as.
        name: Of the language, in itself.
        texts: By key, the section first: `outcome.no_referral`.
        origin: The file, for messages.
    """

    language: str
    name: str
    texts: Mapping[str, str]
    origin: Path

    def text(self, key: str, **values: object) -> str:
        """The text of a key, its placeholders filled.

        Raises:
            CatalogueError: There is no such key, or a placeholder was given no value.
        """
        template = self.texts.get(key)
        if template is None:
            fix = "add it to a catalogue of your own, see docs/reports.md"
            raise CatalogueError(f"no text for {key}", f"{self.origin.name} does not have it", fix)
        missing = _placeholders(template) - values.keys()
        if missing:
            why = f"{self.origin.name} has {template!r}"
            raise CatalogueError(f"no value for {_listed(missing)} of {key}", why, "correct the key")
        return template.format(**values)

    def reason(self, key: str, tasks: Sequence[Task]) -> str:
        """The text of a reason, as examinations carry them: `referable:dr`, `L:missing:macula`, `too_dark`.

        Args:
            key: The reason; after its colons tasks or views, before it an eye.
            tasks: The engine's.

        Raises:
            CatalogueError: The catalogue does not know it.
        """
        head, *arguments = key.split(":")
        if arguments and f"eye.{head}" in self.texts:
            rest = self.reason(key.partition(":")[2], tasks)
            return self.text("reason_of_eye", eye=self.texts[f"eye.{head}"], reason=rest)
        section = "quality" if f"quality.{head}" in self.texts else "reason"
        values: dict[str, str] = {}
        for argument in arguments:
            if f"view.{argument}" in self.texts:
                values["view"] = self.texts[f"view.{argument}"]
            else:
                values["other" if "task" in values else "task"] = self.task(_named(argument, tasks, key))
        return self.text(f"{section}.{head}", **values)

    def set_aside(
        self, why: str, *, eye: Eye | None = None, taken_at: datetime | None = None, detail: str | None = None
    ) -> str:
        """Why a photograph was set aside, from what its event carries.

        Raises:
            CatalogueError: The catalogue does not know it, or it says less than the text needs.
        """
        values = {
            "eye": self.text(f"eye.{eye.value}") if eye else None,
            "taken_at": f"{taken_at:%Y-%m-%d %H:%M:%S %Z}" if taken_at else None,
            "detail": detail,
        }
        return self.text(f"set_aside.{why}", **{name: value for name, value in values.items() if value is not None})

    def number(self, value: float) -> str:
        """A number with two decimals, as the language writes it."""
        return f"{value:.2f}".replace(".", self.text("decimal_mark"))

    def task(self, task: Task) -> str:
        """A disease; one that the catalogue does not have keeps the title of its task file."""
        return self.texts.get(f"task.{task.name}", task.title)

    def grade(self, task: Task, grade: int) -> str:
        """A grade, found by its name in the task file; one that the catalogue does not have keeps that name.

        By its name and not by its number: two task files may grade one disease on two scales.
        """
        name = task.grades[grade]
        return self.texts.get(f"grade.{task.name}.{name}", name)

    def not_assessed(self, key: str, tasks: Sequence[Task]) -> str:
        """What could not be answered: `task:dr` or a key of its section."""
        head, _, name = key.partition(":")
        if head == "task" and name:
            return self.task(_named(name, tasks, key))
        return self.text(f"not_assessed.{key}")


def languages() -> tuple[str, ...]:
    """The languages that ship, sorted."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def load_language(language: str) -> Catalogue:
    """The catalogue of a language that ships.

    Raises:
        CatalogueError: It does not ship.
    """
    if language not in languages():
        why = f"these languages ship: {', '.join(languages())}"
        raise CatalogueError(f"no language {language!r}", why, "take one of them, or give a catalogue file of your own")
    return _catalogue(FOLDER / f"{language}.toml", about=_read(FOLDER / f"{language}.toml"), inherited={})


def load_catalogue(path: Path) -> Catalogue:
    """A clinic's own catalogue: what it does not say, the shipped language that it is `based_on` says.

    Raises:
        CatalogueError: The file cannot be read, is no catalogue, or has other keys or placeholders than the rest.
    """
    content = _read(path)
    base = content.get("based_on")
    if base is None:
        return _catalogue(path, about=content, inherited={})
    return _catalogue(path, about=content, inherited=load_language(str(base)).texts)


def _catalogue(path: Path, *, about: dict[str, Any], inherited: Mapping[str, str]) -> Catalogue:
    own = dict(_flat(path, {key: value for key, value in about.items() if key not in ABOUT}))
    texts = {**inherited, **own}
    for key in ABOUT[:2]:
        if not isinstance(about.get(key), str):
            raise CatalogueError(f"{path} does not say its {key}", "every catalogue does", f'write {key} = "..."')
    reference = own if path == FOLDER / f"{REFERENCE}.toml" else load_language(REFERENCE).texts
    _check(path, texts, reference)
    return Catalogue(language=about["language"], name=about["name"], texts=texts, origin=path)


def _check(path: Path, texts: Mapping[str, str], reference: Mapping[str, str]) -> None:
    if missing := reference.keys() - texts.keys():
        fix = f'write them, or begin the file with based_on = "{REFERENCE}"'
        raise CatalogueError(f"{path} has no text for {_listed(missing)}", "a text may not be missing", fix)
    unknown = {key for key in texts.keys() - reference.keys() if key.split(".")[0] not in OPEN_SECTIONS}
    if unknown:
        raise CatalogueError(f"{path} has {_listed(unknown)}", "nothing asks for it", "correct the spelling")
    for key, text in texts.items():
        wanted = _placeholders(reference.get(key, ""))
        if not text.strip():
            raise CatalogueError(f"{path} has an empty text for {key}", "nobody could read it", "write one")
        if _placeholders(text, path) != wanted:
            why = f"it has to hold {_listed({f'{{{name}}}' for name in wanted}) or 'no placeholder'}"
            raise CatalogueError(f"{path} has {text!r} for {key}", why, "correct what stands in braces")


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as cause:
        raise CatalogueError(f"cannot read {path}", str(cause.strerror or cause), "check the path") from cause
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as cause:
        raise CatalogueError(f"{path} is not TOML", str(cause), "correct the file") from cause


def _flat(path: Path, table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(path, value, f"{prefix}{name}.")
        elif isinstance(value, str):
            yield f"{prefix}{name}", value
        else:
            raise CatalogueError(f"{path} has {value!r} for {prefix}{name}", "it has to be a text", "put it in quotes")


def _placeholders(template: str, path: Path | None = None) -> set[str]:
    try:
        return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}
    except ValueError as cause:
        raise CatalogueError(f"{path} has {template!r}", str(cause), "double every brace that is meant") from cause


def _named(name: str, tasks: Sequence[Task], key: str) -> Task:
    for task in tasks:
        if task.name == name:
            return task
    known = ", ".join(task.name for task in tasks) or "none"
    raise CatalogueError(f"{key} names {name}", f"the engine's tasks are {known}", "report with the engine that graded")


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names))
