"""Errors that a user can act on."""

import pytest

from sall_edge import errors
from sall_edge.errors import SallEdgeError

NAMES = [name for name in errors.__all__ if name != "SallEdgeError"]


def test_an_error_reads_as_what_why_and_fix() -> None:
    problem = SallEdgeError("no disc in a.jpg", "the frame is black", "take the photograph again")
    assert str(problem) == "no disc in a.jpg\n  why: the frame is black\n  fix: take the photograph again"
    assert (problem.what, problem.why, problem.fix) == problem.args


@pytest.mark.parametrize("name", NAMES)
def test_every_error_belongs_to_the_tree_and_to_its_picture(name: str) -> None:
    assert issubclass(getattr(errors, name), SallEdgeError)
    assert f"─ {name}" in (errors.__doc__ or "")


def test_every_error_that_is_defined_is_public() -> None:
    defined = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert defined == set(errors.__all__)


def test_what_cannot_be_graded_is_another_thing_than_what_cannot_be_read() -> None:
    assert issubclass(errors.FieldNotFound, errors.UngradablePhotograph)
    assert not issubclass(errors.UnreadablePhotograph, errors.UngradablePhotograph)
