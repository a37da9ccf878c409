"""Whether a retina is like those that the engine learnt from; one that is not goes to a human, whatever its grades."""

from pydantic import BaseModel, ConfigDict

from sall_edge.errors import ArtefactForeign
from sall_edge.runtime.familiar_retinas import FAMILIARITY_NAME, FamiliarRetinas
from sall_edge.runtime.session import Prediction

__all__ = ["Familiarity", "familiarity_of"]


class Familiarity(BaseModel):
    """How far a retina is from the photographs that the network was trained on.

    Attributes:
        distance: In the network's features; no unit, about 1 for a training photograph.
        limit: Beyond it a human looks; calibrated on validation photographs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    distance: float
    limit: float

    @property
    def is_unfamiliar(self) -> bool:
        """Whether a human has to look."""
        return not self.distance <= self.limit  # nan neither


def familiarity_of(prediction: Prediction, reference: FamiliarRetinas) -> Familiarity:
    """How far the photograph is from those of the training, in the engine's features.

    Raises:
        ArtefactForeign: The engine gives no features, or not as many as the reference has.
    """
    wanted = len(reference.mean)
    given = 0 if prediction.features is None else len(prediction.features)
    if prediction.features is None or given != wanted:
        why = f"it gives {given or 'no'} features, and {FAMILIARITY_NAME} is made for {wanted}"
        raise ArtefactForeign("the engine and its reference do not belong together", why, "build the engine again")
    return Familiarity(distance=reference.distance(prediction.features), limit=reference.limit)
