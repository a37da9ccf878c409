"""From file to verdict, stage by stage, each beside the least that it could take."""

from pydantic import BaseModel, ConfigDict

__all__ = ["STAGES", "Stage", "Stages"]

STAGES = ("decode", "field", "cut", "quality", "copy", "infer", "post")
"""In the order in which a photograph goes through them; together with what lies between them they are the total."""


class Stage(BaseModel):
    """Percentiles of one stage; null where the sample is too small to state one.

    Attributes:
        name: One of STAGES, or "total".
        n: Photographs, times rounds.
        floor: What the least is, in words, such as "bare decode at the same scale"; empty where nothing is asked for.
        floor_p50_ms: The least, measured in turn with the stage, photograph by photograph.
        over_floor: Stage over floor, of the means of the photographs' medians; null without a floor.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    n: int
    p50_ms: float
    p90_ms: float | None
    p99_ms: float | None
    floor: str = ""
    floor_p50_ms: float | None = None
    over_floor: float | None = None


class Stages(BaseModel):
    """All stages of photographs that go from file to verdict one at a time.

    Attributes:
        photographs: How many different ones.
        rounds: How often each.
        stages: In the order of STAGES.
        total: From file to verdict; its floor is the bare decode and the bare request.
        per_photograph_ms: By name of the stage, mean; what a bar of parts is drawn from.
    """

    model_config = ConfigDict(frozen=True)

    photographs: int
    rounds: int
    stages: tuple[Stage, ...]
    total: Stage
    per_photograph_ms: dict[str, float]
