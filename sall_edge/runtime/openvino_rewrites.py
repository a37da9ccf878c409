"""What OpenVINO is given instead of the engine's graph: the same arithmetic, in words that its CPU plugin runs faster.

The graph in the bundle is written for TensorRT, signed and with an explicit Pad. x86-64 multiplies unsigned by signed
bytes. So a map that a clip bounds from below is counted from its lowest value: the same steps, as 0..255. Zero padding
is then the lowest value, and the Pad that `calibration.recentre` needs becomes part of the convolution, where
OpenVINO ran it as a copy in float. What the map lost, the convolution's bias gets back.

Equal but for the order of float sums: a value that lies on the edge between two steps may take the other one.
docs/adr/0014 has the figures.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from platform import machine

import numpy as np
from numpy.typing import NDArray

from sall_edge.runtime.openvino_library import ov, passes

__all__ = ["REWRITE_VERSION", "count_from_lowest", "read_network", "rewrite", "share_pixel_constants"]

REWRITE_VERSION = 1
"""Changes with what is rewritten: networks that were compiled before are then not used again."""

LOWEST, HIGHEST = -128, 127
UNSIGNED_STEPS = 255
SAME_SCALE = 1e-5
"""Float32 rounds the products of a scale with 127 and 128."""

op = ov.opset13


def read_network(core: ov.Core, graph: Path, shape: tuple[int, ...]) -> ov.Model:
    """The network that is compiled for an engine's graph: whoever compares with the product compiles this one.

    Args:
        core: That will compile it.
        graph: An ONNX file that keeps the project's contract of inputs and outputs.
        shape: Of the input: (N, side, side, 3), with -1 for any N.

    Raises:
        RuntimeError: OpenVINO cannot read the graph.
    """
    model = core.read_model(graph)
    model.reshape(list(shape))
    rewrite(model)
    return model


def rewrite(model: ov.Model) -> None:
    """Both rewrites, in place; nothing on Arm, which multiplies signed by signed bytes and was not measured."""
    if machine().lower() in ("x86_64", "amd64"):
        share_pixel_constants(model)
        count_from_lowest(model)


def share_pixel_constants(model: ov.Model) -> int:
    """How many constants that hold one number for red, green and blue became that number.

    With three numbers OpenVINO scales pixel by pixel, three at a time; with one it takes whole vectors.
    """
    shared = 0
    readers = [target.get_node() for target in model.input(0).get_target_inputs()]
    while len(readers) == 1 and readers[0].get_type_name() in ("Convert", "Multiply", "Add", "Subtract"):
        node = readers[0]
        for place in node.inputs():
            values = _constant(place.get_source_output())
            if (
                values is not None
                and values.size == 3
                and (values == values.flat[0]).all()
                and not _widens(node, place)
            ):
                place.replace_source_output(op.constant(values.flat[0]).output(0))
                shared += 1
        readers = [target.get_node() for target in node.output(0).get_target_inputs()]
    model.validate_nodes_and_infer_types()
    return shared


def _widens(node: ov.Node, place: ov.Input) -> bool:
    """Whether this input of a sum or product gives the result channels that the other one has not."""
    return bool(node.input_value(1 - place.get_index()).partial_shape != node.output(0).partial_shape)


@dataclass(frozen=True, slots=True)
class _SignedMap:
    """A clipped map on its way through int8.

    Attributes:
        source: The clip's values, before they are padded.
        pad: Between the clip and the quantizer, if there is one.
        dequantized: What the convolutions read.
        scale: A step.
        lowest: The step of the clip's lower bound.
    """

    source: ov.Output
    pad: ov.Node | None
    dequantized: ov.Node
    scale: np.float32
    lowest: int


def count_from_lowest(model: ov.Model) -> int:
    """How many maps now reach their convolutions as unsigned bytes, counted from their lowest value.

    Left alone is whatever could round or saturate in another way, and a map without padding whose lowest value is not
    zero: it gains nothing.
    """
    maps = list(_signed_maps(model))
    for found in maps:
        _rewrite(found)
    model.validate_nodes_and_infer_types()
    return len(maps)


def _signed_maps(model: ov.Model) -> Iterator[_SignedMap]:
    for node in model.get_ordered_ops():
        found = _signed_map(node) if node.get_type_name() == "FakeQuantize" else None
        if found is not None and (found.pad is not None or found.lowest == 0) and _takes_shift(found):
            yield found


def _signed_map(quantizer: ov.Node) -> _SignedMap | None:
    dequantized = _dequantized(quantizer)
    ranges = [_number(quantizer.input_value(index)) for index in range(1, 5)]
    scale = None if dequantized is None else _number(dequantized.input_value(1))
    if dequantized is None or scale is None or quantizer.get_attributes()["levels"] != 256:
        return None
    int8 = np.array([LOWEST * scale, HIGHEST * scale, LOWEST, HIGHEST], np.float32)
    if not np.allclose(np.array(ranges, np.float32), int8, rtol=SAME_SCALE, atol=0):  # what is no number becomes NaN
        return None
    above = quantizer.input_value(0).get_node()
    pad = above if above.get_type_name() == "Pad" else None
    source = (pad or quantizer).input_value(0)
    bounds = _bounds(source.get_node())
    if bounds is None:
        return None
    lowest, highest = (round(float(bound / scale)) for bound in bounds)
    if lowest < LOWEST or highest > HIGHEST or (pad is not None and not _pads_with(pad, lowest, scale)):
        return None
    return _SignedMap(source, pad, dequantized, np.float32(scale), lowest)


def _dequantized(quantizer: ov.Node) -> ov.Node | None:
    """The end of FakeQuantize, Convert to int8, Convert to float, Subtract zero, Multiply; None for anything else."""
    node = quantizer
    for kind in ("Convert", "Convert", "Subtract", "Multiply"):
        readers = list(node.output(0).get_target_inputs())
        if len(readers) != 1 or readers[0].get_node().get_type_name() != kind or readers[0].get_index() != 0:
            return None
        node = readers[0].get_node()
        if kind == "Subtract" and _number(_before_convert(node.input_value(1))) != 0:
            return None
    return node


def _bounds(clip: ov.Node) -> tuple[np.float32, np.float32] | None:
    """Of a clip as OpenVINO reads it: a Clamp, or the least of a bound and the greatest of another and the values."""
    if clip.get_type_name() == "Clamp":
        attributes = clip.get_attributes()
        return np.float32(attributes["min"]), np.float32(attributes["max"])
    high, inner = _bound_and_rest(clip, "Minimum")
    low, _ = _bound_and_rest(inner, "Maximum")
    return None if low is None or high is None else (low, high)


def _bound_and_rest(node: ov.Node | None, kind: str) -> tuple[np.float32 | None, ov.Node | None]:
    if node is None or node.get_type_name() != kind:
        return None, None
    first, second = node.input_value(0), node.input_value(1)
    bound, rest = (first, second) if _number(first) is not None else (second, first)
    return _number(bound), rest.get_node()


def _pads_with(pad: ov.Node, lowest: int, scale: np.float32) -> bool:
    """Whether everything that it adds falls on this step, and only one reader sees it."""
    value = _number(pad.input_value(3)) if pad.get_input_size() == 4 else np.float32(0)
    if value is None or pad.get_attributes()["pad_mode"] != "constant":
        return False
    return round(float(value / scale)) == lowest and len(pad.output(0).get_target_inputs()) == 1


def _takes_shift(found: _SignedMap) -> bool:
    """Whether all readers are convolutions that can be told of it: padding of their own means zero, not the lowest."""
    for place in found.dequantized.output(0).get_target_inputs():
        reader = place.get_node()
        if reader.get_type_name() not in ("Convolution", "GroupConvolution") or place.get_index() != 0:
            return False
        attributes = reader.get_attributes()
        is_padded = any([*attributes["pads_begin"], *attributes["pads_end"]]) or attributes["auto_pad"] != "explicit"
        if found.lowest and is_padded:
            return False
    return True


def _rewrite(found: _SignedMap) -> None:
    step, start = found.scale, np.float32(found.lowest)
    ranges = (start * step, (start + UNSIGNED_STEPS) * step, np.float32(0), UNSIGNED_STEPS * step)
    values = op.fake_quantize(found.source, *(op.constant(np.float32(bound)) for bound in ranges), 256).output(0)
    if found.pad is not None:  # with zeros now: OpenVINO makes it the convolution's own
        begin, end = found.pad.input_value(1), found.pad.input_value(2)
        values = op.pad(values, begin, end, "constant", op.constant(np.float32(0))).output(0)
    for place in list(found.dequantized.output(0).get_target_inputs()):
        if found.lowest:
            _give_back(place.get_node(), found.lowest * np.float64(step))
        place.replace_source_output(values)


def _give_back(convolution: ov.Node, shift: float) -> None:
    """Adds to its output what the shift of all its inputs comes to."""
    weight = _folded(convolution.input_value(1)).astype(np.float64)
    channels = weight.shape[:2] if convolution.get_type_name() == "GroupConvolution" else weight.shape[:1]
    sums = weight.reshape(int(np.prod(channels)), -1).sum(axis=1) * shift
    readers = list(convolution.output(0).get_target_inputs())
    bias = op.constant(sums.astype(np.float32).reshape(1, -1, *[1] * (len(weight.shape) - len(channels) - 1)))
    moved = op.add(convolution.output(0), bias)
    for reader in readers:
        reader.replace_source_output(moved.output(0))


def _folded(output: ov.Output) -> NDArray[np.float32]:
    """The values of an output that no input reaches, without a change to the graph that it belongs to."""
    alone = ov.Model([op.result(output)], [], "weights").clone()
    manager = passes.Manager()
    manager.register_pass(passes.ConstantFolding())
    manager.run_passes(alone)
    folded: NDArray[np.float32] = alone.get_results()[0].input_value(0).get_node().data
    return folded


def _before_convert(output: ov.Output) -> ov.Output:
    node = output.get_node()
    return node.input_value(0) if node.get_type_name() == "Convert" else output


def _constant(output: ov.Output) -> NDArray[np.generic] | None:
    node = output.get_node()
    return node.data if node.get_type_name() == "Constant" else None


def _number(output: ov.Output) -> np.float32 | None:
    """The value of a constant of one element."""
    values = _constant(output)
    return np.float32(values.flat[0]) if values is not None and values.size == 1 else None
