"""What the machine does while it is measured: temperature, clock, power; and whether it slowed itself down."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic import BaseModel, ConfigDict

__all__ = ["Monitor", "Monitored", "Reading", "Seen", "thinned"]


class Reading(BaseModel):
    """The machine at one moment; null is what it does not tell.

    Attributes:
        at_s: Since the run began.
        temperature_c: Of its hottest sensor.
        clock_mhz: Of what computes: the GPU's, or the mean of the CPU's cores.
        power_w: Drawn on average since the last reading.
    """

    model_config = ConfigDict(frozen=True)

    at_s: float
    temperature_c: float | None = None
    clock_mhz: float | None = None
    power_w: float | None = None


class Monitored(BaseModel):
    """A run as the machine's sensors saw it.

    Attributes:
        sources: Who told, such as "RAPL", "sysfs", "NVML", "jetson-stats".
        silent: What no source tells here, and why; for people.
        readings: In order, some a second apart; of a long run, means of several. Empty where no sensor tells.
        energy_mj_per_photograph: Energy of the run over its photographs; null where power is unknown.
        power_of: What the power is of, such as "CPU package"; empty where it is unknown.
        throttled: What slowed the machine down, in words; a run with an entry is not for claims.
        reading_ms: What one reading took, on average: the monitor computes beside what it watches.
    """

    model_config = ConfigDict(frozen=True)

    sources: tuple[str, ...] = ()
    silent: dict[str, str] = {}
    readings: tuple[Reading, ...] = ()
    energy_mj_per_photograph: float | None = None
    power_of: str = ""
    throttled: tuple[str, ...] = ()
    reading_ms: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one source tells at one moment; None where it does not.

    Attributes:
        temperature_c, clock_mhz, power_w: As in `Reading`.
        load: Of what computes, 0..1: a clock that falls without it only rests.
    """

    temperature_c: float | None = None
    clock_mhz: float | None = None
    power_w: float | None = None
    load: float | None = None


class Monitor(Protocol):
    """A source. It is used by one thread at a time, and what it cannot read it says instead of raising."""

    @property
    def name(self) -> str:
        """Such as "RAPL"."""

    @property
    def tells(self) -> bool:
        """Whether it tells anything here; known after `start`."""

    @property
    def power_of(self) -> str:
        """What its power is of; empty where it tells none."""

    @property
    def silent(self) -> Mapping[str, str]:
        """What it should tell and does not, and why; complete after the first `read`."""

    def start(self) -> None:
        """Notes the counters that later readings are compared with."""

    def read(self, elapsed_s: float) -> Seen:
        """The machine now.

        Args:
            elapsed_s: Since `start` or the last `read`, above 0.
        """

    def slowed(self) -> tuple[str, ...]:
        """What slowed the machine down since `start`, as far as this source tells, in words."""

    def close(self) -> None:
        """Lets go of what it holds; called once, also when `start` failed."""


def thinned(readings: Sequence[Reading], most: int) -> tuple[Reading, ...]:
    """At most so many: neighbours become one, with their highest temperature, mean clock and mean power over time.

    Args:
        readings: In order.
        most: At least 1.
    """
    size = -(-len(readings) // most) if readings else 1
    return tuple(
        _together(readings[at : at + size], readings[at - 1].at_s if at else 0.0)
        for at in range(0, len(readings), size)
    )


def _together(readings: Sequence[Reading], began_s: float) -> Reading:
    temperatures = [one.temperature_c for one in readings if one.temperature_c is not None]
    clocks = [one.clock_mhz for one in readings if one.clock_mhz is not None]
    ends = [one.at_s for one in readings]
    spans = [end - start for start, end in zip([began_s, *ends], ends, strict=False)]
    powers = [(one.power_w, span) for one, span in zip(readings, spans, strict=True) if one.power_w is not None]
    seconds = sum(span for _, span in powers)
    return Reading(
        at_s=ends[-1],
        temperature_c=max(temperatures, default=None),
        clock_mhz=sum(clocks) / len(clocks) if clocks else None,
        power_w=sum(power * span for power, span in powers) / seconds if seconds else None,
    )
