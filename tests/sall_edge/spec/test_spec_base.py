"""The hash of a description, which ties an engine to its preprocessing."""

import pytest
from pydantic import ValidationError

from sall_edge.spec import ImageSpec


def test_equal_specs_have_equal_hashes_and_any_change_another() -> None:
    assert ImageSpec(side_px=224).sha256 == ImageSpec().sha256
    assert len({ImageSpec(side_px=side).sha256 for side in (224, 225, 320)}) == 3
    assert ImageSpec(prepare_version=2).sha256 != ImageSpec(prepare_version=1).sha256


def test_a_spec_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        ImageSpec().side_px = 320  # type: ignore[misc]  # the test is that it fails
