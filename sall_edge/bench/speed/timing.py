"""An open engine, timed as a profile asks: what comes of it in the report, but for what needs labels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sall_edge.bench.speed.both_scenarios import PILOT_SHARE, Speed, fly_pilot, measure_speed
from sall_edge.bench.speed.claims import not_for_claims
from sall_edge.bench.speed.clinic import Clinic, draw_gaps, measure_clinic
from sall_edge.bench.speed.latency import THROUGHPUT_SHARE
from sall_edge.bench.speed.memory import peak_rss_mb
from sall_edge.bench.speed.neighbours import Neighbours
from sall_edge.runtime.session import Session
from sall_edge.spec import Profile

__all__ = ["BATCH", "Timing", "length_s", "time_session"]

U8 = npt.NDArray[np.uint8]

BATCH = 8
GAP_SEED = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How fast an engine was.

    Attributes:
        seconds: That SingleStream was asked to last.
        speed: Latency, throughput and every call.
        peak_rss_mb: Before LoadGen prepared its queries.
        cores_of_others: Kept busy by other processes during `speed`; None where nobody knows.
        clinic: Of the clinic profile.
    """

    seconds: float
    speed: Speed
    peak_rss_mb: float
    cores_of_others: float | None
    clinic: Clinic | None

    def not_for_claims(self, profile: Profile, throttled: Sequence[str] = ()) -> tuple[str, ...]:
        """Why nobody should quote this, and that the machine slowed itself down, where it did."""
        return not_for_claims(
            profile,
            self.seconds,
            self.speed.latency,
            self.speed.throughput,
            cores_of_others=self.cores_of_others,
            clinic=self.clinic,
            throttled=throttled,
        )


def length_s(profile: Profile, seconds: float) -> float:
    """About how long `time_session` takes."""
    timed_s = _timed_s(profile, seconds)
    return timed_s * (1 + THROUGHPUT_SHARE) * (1 + PILOT_SHARE) + (seconds if profile is Profile.CLINIC else 0)


def _timed_s(profile: Profile, seconds: float) -> float:
    return min(seconds, Profile.QUICK.seconds) if profile is Profile.CLINIC else seconds


def time_session(
    session: Session,
    squares: U8,
    photographs: Sequence[Path],
    profile: Profile,
    *,
    seconds: float,
    stage: Callable[[str, int], None],
    advance: Callable[[], None],
) -> Timing:
    """The session as the profile asks: SingleStream and Offline, and for a clinic the photographs.

    Args:
        session: An open engine.
        squares: (N, side, side, 3) uint8.
        photographs: Files that can be read; for the clinic profile at least one.
        profile: What is asked.
        seconds: Of the profile's main part. A clinic times the bare engine no longer than the quick profile.
        stage: Called before the clinic, with how many photographs come.
        advance: Called after each of them.
    """
    timed_s = _timed_s(profile, seconds)
    pilot = fly_pilot(session, squares, seconds=timed_s, batch=BATCH)
    peak_mb = peak_rss_mb()
    before = Neighbours.now()
    speed = measure_speed(session, squares, pilot, seconds=timed_s)
    cores_of_others = Neighbours.now().cores_since(before)
    clinic = None
    if profile is Profile.CLINIC:
        gaps_s = draw_gaps(seconds, profile.seconds, np.random.default_rng(GAP_SEED))
        stage("clinic, a photograph after every gap", len(gaps_s))
        clinic = measure_clinic(session, photographs, gaps_s, advance=advance)
    return Timing(seconds=timed_s, speed=speed, peak_rss_mb=peak_mb, cores_of_others=cores_of_others, clinic=clinic)
