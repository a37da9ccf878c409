"""Where the photographs that an engine learnt from lie in its features, and how far from them is too far.

The features of training photographs are taken for a Gaussian cloud that is wide along a few directions and equally
narrow along all others (probabilistic PCA, Tipping and Bishop 1999): more than a few hundred photographs can tell of a
thousand channels nobody knows. The distance is Mahalanobis' from its middle. `engines.familiarity` fits it and sets the
limit, on the engine's own features; the bundle carries it as `familiarity.json`.
"""

import base64
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationError

from sall_edge.artifacts import Engine
from sall_edge.errors import ArtefactForeign
from sall_edge.spec import Spec, broken_rules

__all__ = ["FAMILIARITY_NAME", "FamiliarRetinas", "FamiliarityFile", "FittedOn", "read_familiar_retinas"]

F32 = npt.NDArray[np.float32]

FAMILIARITY_NAME = "familiarity.json"
"""Its name in a bundle."""


class FittedOn(Spec):
    """Which photographs.

    Attributes:
        photographs: How many.
        left_out: How many more were not gradable: they never reach the network.
        images_sha256: Hash over the pixels of their squares, in order.
    """

    photographs: int
    left_out: int
    images_sha256: str


class FamiliarityFile(Spec):
    """`familiarity.json`. Arrays are float32, little-endian, row by row, in Base64.

    Attributes:
        format_version: Of this file.
        channels, components: Sizes C and K.
        limit: The largest distance of a photograph that is like those of the training.
        aim: Share of ordinary photographs that may be farther.
        noise_deviation: Standard deviation of a feature along every direction but the components.
        mean: (C,).
        directions: (K, C), orthonormal rows.
        deviations: (K,) standard deviations along them.
        training, validation: What the cloud and what the limit was fitted on.
    """

    format_version: int = 1
    channels: Annotated[int, Field(ge=1)]
    components: Annotated[int, Field(ge=1)]
    limit: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    aim: Annotated[float, Field(gt=0, lt=1)]
    noise_deviation: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    mean: str
    directions: str
    deviations: str
    training: FittedOn
    validation: FittedOn


@dataclass(frozen=True, slots=True, kw_only=True)
class FamiliarRetinas:
    """The cloud and its limit.

    Attributes:
        mean: (C,) float32.
        directions: (K, C) float32, orthonormal rows.
        deviations: (K,) float32, along them.
        noise_deviation: Along all others.
        limit: See `FamiliarityFile`.
    """

    mean: F32
    directions: F32
    deviations: F32
    noise_deviation: float
    limit: float

    def distance(self, features: F32) -> float:
        """Mahalanobis' distance divided by the root of the number of channels: about 1 for a training photograph.

        Args:
            features: (C,) float32, of one photograph.
        """
        away = features - self.mean
        along = self.directions @ away
        across = max(0.0, float(away @ away) - float(along @ along))
        wide = along / self.deviations
        return float(np.sqrt((float(wide @ wide) + across / self.noise_deviation**2) / len(self.mean)))


def read_familiar_retinas(engine: Engine) -> FamiliarRetinas | None:
    """The reference that a bundle carries, None when it was built without.

    Raises:
        ArtefactForeign: The file is none of this version.
    """
    if FAMILIARITY_NAME not in engine.manifest.files:
        return None
    path = engine.path / FAMILIARITY_NAME
    try:
        file = FamiliarityFile.model_validate_json(path.read_bytes())
        if file.format_version != 1:
            raise ValueError(f"its format is {file.format_version}, this version reads 1")
        return retinas_from_file(file)
    except ValueError as cause:
        why = broken_rules(cause) if isinstance(cause, ValidationError) else str(cause)
        raise ArtefactForeign(f"{path} is no reference of this version", why, "build the engine again") from cause


def retinas_from_file(file: FamiliarityFile) -> FamiliarRetinas:
    """What the distances are computed from.

    Raises:
        ValueError: An array has not the size that the file says, or a deviation is not above 0.
    """
    directions = floats(file.directions, file.components * file.channels)
    deviations = floats(file.deviations, file.components)
    if not (deviations > 0).all():
        raise ValueError("a deviation is not above 0")
    return FamiliarRetinas(
        mean=floats(file.mean, file.channels),
        directions=directions.reshape(file.components, file.channels),
        deviations=deviations,
        noise_deviation=file.noise_deviation,
        limit=file.limit,
    )


def floats(text: str, size: int) -> F32:
    """The array of a text in Base64.

    Raises:
        ValueError: It is another size, or not finite.
    """
    values = np.frombuffer(base64.b64decode(text, validate=True), "<f4").astype(np.float32)
    if len(values) != size or not np.isfinite(values).all():
        raise ValueError(f"{len(values)} numbers, not {size} finite ones")
    return values


def text_from_floats(values: F32) -> str:
    """The reverse of `floats`."""
    return base64.b64encode(np.ascontiguousarray(values, "<f4").tobytes()).decode()
