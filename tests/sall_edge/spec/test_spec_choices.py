"""What a user chooses between."""

from sall_edge.spec import Profile


def test_the_standard_profile_lasts_as_long_as_mlperf_asks() -> None:
    assert Profile.STANDARD.seconds >= 600 > Profile.QUICK.seconds
