"""FP32 graph + prepared squares -> the range of every tensor that will be quantized."""

import hashlib
import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from calibration.equalise import ChannelRange, channel_ranges, equalised, stream_tensors
from calibration.graphs import load_proto
from calibration.grid import is_on_grid
from calibration.histograms import Histogram, amax_from_histogram
from calibration.observation import observe
from calibration.placement import place
from calibration.recentre import recentred
from sall_edge.artifacts import OnnxModel
from sall_edge.errors import ArtefactForeign, ArtefactMissing, CalibrationError
from sall_edge.spec import ImageSpec, RangeMethod, Spec
from sall_edge.writing import file_being_written

__all__ = [
    "DEFAULT_METHOD",
    "FEWEST_IMAGES",
    "Measurement",
    "Ranges",
    "check_ranges",
    "load_ranges",
    "measure",
    "measure_ranges",
    "ranges_from_measurement",
    "save_ranges",
]

DEFAULT_METHOD = RangeMethod.MSE
"""The closest to FP32 of the four on EfficientNet-Lite0 with fundus photographs, in features and in grades."""

FEWEST_IMAGES = 8
"""Fewer say more about themselves than about a clinic's photographs."""

CHANNEL_IMAGES = 64
"""The first so many images say how wide every channel of a stream is; they are held in memory."""

ADVISED_IMAGES = 256
"""Below this number, rare photographs move the ranges; the provenance says so."""

_AGAIN = "measure again: sall-edge calibrate model.onnx --labels CSV -o qdq.onnx"


class Ranges(Spec):
    """The largest magnitude that INT8 represents, per tensor, bound to the graph and the images it was measured on.

    Attributes:
        method: How ranges follow from histograms.
        model_sha256: Hash of the FP32 graph's file.
        image_spec_sha256: Hash of the preparation of the squares.
        images: Number of squares.
        images_sha256: Hash over all squares' pixels, in order.
        amax: Tensor name to the largest magnitude, in the order of computation, after equalisation with `channels`.
        channels: Tensor name to the ranges of its channels, see `equalise`; without them nothing is equalised.
        provenance: For people: versions, and warnings under `warnings`.
    """

    method: RangeMethod
    model_sha256: str
    image_spec_sha256: str
    images: Annotated[int, Field(ge=FEWEST_IMAGES)]
    images_sha256: str
    amax: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]]
    channels: dict[str, ChannelRange] = {}
    provenance: dict[str, Any] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What one pass over the calibration images saw; every method's ranges follow from it."""

    model_sha256: str
    image_spec_sha256: str
    images: int
    images_sha256: str
    histograms: dict[str, Histogram]
    channels: dict[str, ChannelRange]


def measure_ranges(
    model: OnnxModel,
    squares: Iterable[NDArray[np.uint8]],
    *,
    method: RangeMethod = DEFAULT_METHOD,
    advance: Callable[[], None] = lambda: None,
) -> Ranges:
    """The ranges of a graph's activations over calibration images.

    Args:
        model: The FP32 graph.
        squares: Prepared photographs, each (side, side, 3) uint8 RGB; read once, none is kept.
        method: How ranges follow from histograms.
        advance: Called after every image.

    Raises:
        CalibrationError: Fewer than `FEWEST_IMAGES`, a square of another size or without content, or an activation
            that is constant or not finite.
    """
    return ranges_from_measurement(measure(model, squares, advance=advance), method=method)


def measure(
    model: OnnxModel, squares: Iterable[NDArray[np.uint8]], *, advance: Callable[[], None] = lambda: None
) -> Measurement:
    """Histograms of everything that will be quantized; memory does not grow with the number of images.

    Raises:
        CalibrationError: See `measure_ranges`.
    """
    checked = _checked(squares, model.manifest.image)
    first = list(itertools.islice(checked, CHANNEL_IMAGES))
    proto = recentred(load_proto(model))
    # Stretching the channels of a stream would take weights that INT8 stores exactly off their grid.
    streams = [] if is_on_grid(proto) or len(first) < FEWEST_IMAGES else stream_tensors(proto.graph)
    channels = channel_ranges(proto, streams, first)
    proto = equalised(proto, channels)
    tensors = list(place(proto.graph).activations)
    digest, count = hashlib.sha256(), 0

    def hashed() -> Iterator[NDArray[np.uint8]]:
        nonlocal count
        for square in itertools.chain(first, checked):
            digest.update(np.ascontiguousarray(square).tobytes())
            count += 1
            yield square

    histograms = observe(proto, tensors, hashed(), advance=advance)
    if count < FEWEST_IMAGES:
        why = f"at least {FEWEST_IMAGES} are needed, and {ADVISED_IMAGES} or more are advised"
        raise CalibrationError(f"{count} calibration images", why, "give more photographs: --count, --labels")
    for tensor, histogram in histograms.items():
        if histogram.low == histogram.high:
            what = f"activation {tensor} is {histogram.low:g} everywhere"
            raise CalibrationError(what, "a range needs values that differ", "check the photographs and the network")
    return Measurement(
        model_sha256=model.sha256,
        image_spec_sha256=model.manifest.image.sha256,
        images=count,
        images_sha256=digest.hexdigest(),
        histograms=histograms,
        channels=channels,
    )


def ranges_from_measurement(measurement: Measurement, *, method: RangeMethod) -> Ranges:
    """The ranges that a method reads from histograms."""
    # Six digits are far finer than any effect on an INT8 engine, and make the file's differences readable.
    amax = {
        tensor: float(f"{amax_from_histogram(histogram, method):.6g}")
        for tensor, histogram in measurement.histograms.items()
    }
    provenance: dict[str, Any] = {"onnxruntime": onnxruntime.__version__}
    if measurement.images < ADVISED_IMAGES:
        provenance["warnings"] = [f"{measurement.images} calibration images; {ADVISED_IMAGES} or more are advised"]
    return Ranges(
        method=method,
        model_sha256=measurement.model_sha256,
        image_spec_sha256=measurement.image_spec_sha256,
        images=measurement.images,
        images_sha256=measurement.images_sha256,
        amax=amax,
        channels=measurement.channels,
        provenance=provenance,
    )


def save_ranges(ranges: Ranges, path: Path) -> None:
    """Writes the ranges as JSON, one tensor a line, so that two measurements can be compared with diff.

    Raises:
        OutputError: The place cannot be written.
    """
    text = re.sub(r"\[[^\[\]]+\]", lambda numbers: " ".join(numbers[0].split()), ranges.model_dump_json(indent=2))
    with file_being_written(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def load_ranges(path: Path, model: OnnxModel) -> Ranges:
    """The ranges in a file, for a graph.

    Raises:
        ArtefactMissing, ArtefactForeign: There is no such file, or it holds no ranges.
        CalibrationError: The ranges were measured on another graph.
    """
    try:
        ranges = Ranges.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as cause:
        raise ArtefactMissing(f"{path} is missing", "there is no such file", _AGAIN) from cause
    except (OSError, ValueError, ValidationError) as cause:
        raise ArtefactForeign(f"{path} holds no ranges", str(cause).splitlines()[0], _AGAIN) from cause
    check_ranges(ranges, model)
    return ranges


def check_ranges(ranges: Ranges, model: OnnxModel) -> None:
    """Refuses ranges that were not measured on this graph with this preparation.

    Raises:
        CalibrationError: They were not.
    """
    if ranges.model_sha256 != model.sha256:
        why = f"they belong to the graph {ranges.model_sha256[:16]}…, this one is {model.sha256[:16]}…"
        raise CalibrationError(f"ranges are stale for {model.path}", why, _AGAIN)
    if ranges.image_spec_sha256 != model.manifest.image.sha256:
        why = "the squares that were measured were prepared in another way"
        raise CalibrationError(f"ranges are stale for {model.path}", why, _AGAIN)


def _checked(squares: Iterable[NDArray[np.uint8]], image: ImageSpec) -> Iterator[NDArray[np.uint8]]:
    for index, square in enumerate(squares):
        _check_square(square, image, index)
        yield square


def _check_square(square: NDArray[np.uint8], image: ImageSpec, index: int) -> None:
    wanted = (image.side_px, image.side_px, 3)
    if square.shape != wanted or square.dtype != np.uint8:
        what = f"calibration image {index} is {square.dtype} {square.shape}"
        raise CalibrationError(
            what, f"the graph takes uint8 {wanted}", "prepare photographs with the graph's ImageSpec"
        )
    if square.min() == square.max():
        what = f"calibration image {index} is {int(square.min())} everywhere"
        raise CalibrationError(what, "a picture without content narrows no range", "remove it from the labels CSV")
