"""What the tests of live cameras share."""

from collections.abc import Iterator

import pytest
from fakes.camera_device import FakeDevice


@pytest.fixture
def device() -> Iterator[FakeDevice]:
    """Healthy, until a test decides otherwise."""
    made = FakeDevice()
    yield made
    made.goes_on.set()  # no thread hangs beyond its test
