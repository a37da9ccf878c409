"""What the machine does while it is measured: temperature, clock, power; and whether it slowed itself down."""

from pydantic import BaseModel, ConfigDict

__all__ = ["Monitored", "Reading"]


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
        readings: In order, some a second apart.
        energy_mj_per_photograph: Energy of the run over its photographs; null where power is unknown.
        throttled: What slowed the machine down, in words; a run with an entry is not for claims.
    """

    model_config = ConfigDict(frozen=True)

    sources: tuple[str, ...] = ()
    silent: dict[str, str] = {}
    readings: tuple[Reading, ...] = ()
    energy_mj_per_photograph: float | None = None
    throttled: tuple[str, ...] = ()
