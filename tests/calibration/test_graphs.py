from pathlib import Path

import onnx
import pytest

from calibration.graphs import MANIFEST_KEY, load_proto, open_onnx_model, open_qdq_model, write_graph
from sall_edge.artifacts import GraphManifest, Kind, OnnxModel, sha256_of_file
from sall_edge.errors import ArtefactForeign, ArtefactMissing, OutputError


def test_a_written_graph_comes_back_with_its_manifest_and_hash(model: OnnxModel, manifest: GraphManifest) -> None:
    assert model.manifest == manifest
    assert model.sha256 == sha256_of_file(model.path)


def test_equal_graphs_and_manifests_give_equal_bytes(
    proto: onnx.ModelProto, manifest: GraphManifest, tmp_path: Path
) -> None:
    for name in ("a.onnx", "b.onnx"):
        write_graph(proto, manifest, tmp_path / name)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_the_time_is_filled_in_when_the_manifest_has_none(
    proto: onnx.ModelProto, manifest: GraphManifest, tmp_path: Path
) -> None:
    write_graph(proto, manifest.model_copy(update={"created": ""}), tmp_path / "model.onnx")
    assert open_onnx_model(tmp_path / "model.onnx").manifest.created


def test_writing_leaves_the_given_graph_as_it_was(
    proto: onnx.ModelProto, manifest: GraphManifest, tmp_path: Path
) -> None:
    before = proto.SerializeToString(deterministic=True)
    write_graph(proto, manifest, tmp_path / "model.onnx")
    assert proto.SerializeToString(deterministic=True) == before


def test_a_place_that_cannot_be_written_is_an_output_error(
    proto: onnx.ModelProto, manifest: GraphManifest, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot write"):
        write_graph(proto, manifest, tmp_path / "file" / "model.onnx")


def test_a_missing_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ArtefactMissing, match=r"no\.onnx is missing"):
        open_onnx_model(tmp_path / "no.onnx")


@pytest.mark.parametrize("content", [b"", b"not a graph", b"\x00" * 64, b"\x08\x09"])
def test_a_file_that_is_no_onnx_is_foreign(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ArtefactForeign, match="is not an ONNX file"):
        open_onnx_model(path)


def test_a_truncated_graph_is_foreign(model: OnnxModel) -> None:
    model.path.write_bytes(model.path.read_bytes()[:-100])
    with pytest.raises(ArtefactForeign):
        open_onnx_model(model.path)


def test_onnx_from_elsewhere_is_foreign(proto: onnx.ModelProto, tmp_path: Path) -> None:
    onnx.save(proto, tmp_path / "other.onnx")
    with pytest.raises(ArtefactForeign, match=r"was not made by sall-edge[\s\S]*sall-edge export"):
        open_onnx_model(tmp_path / "other.onnx")


def test_a_manifest_that_is_no_json_is_foreign(proto: onnx.ModelProto, tmp_path: Path) -> None:
    onnx.helper.set_model_props(proto, {MANIFEST_KEY: "{"})
    onnx.save(proto, tmp_path / "other.onnx")
    with pytest.raises(ArtefactForeign, match="has no sall-edge manifest"):
        open_onnx_model(tmp_path / "other.onnx")


def test_each_opener_refuses_the_other_kind(
    proto: onnx.ModelProto, manifest: GraphManifest, model: OnnxModel, tmp_path: Path
) -> None:
    with pytest.raises(ArtefactForeign, match="is of the kind onnx"):
        open_qdq_model(model.path)
    write_graph(proto, manifest.model_copy(update={"kind": Kind.QDQ}), tmp_path / "qdq.onnx")
    with pytest.raises(ArtefactForeign, match="is of the kind qdq"):
        open_onnx_model(tmp_path / "qdq.onnx")


def _float_image(proto: onnx.ModelProto) -> None:
    proto.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT


def _planar_image(proto: onnx.ModelProto) -> None:
    dims = proto.graph.input[0].type.tensor_type.shape.dim
    dims[1].dim_value, dims[3].dim_value = 3, 32


def _another_input_name(proto: onnx.ModelProto) -> None:
    proto.graph.input[0].name = "input.1"


def _missing_cam(proto: onnx.ModelProto) -> None:
    del proto.graph.output[1]


def _another_number_of_grades(proto: onnx.ModelProto) -> None:
    proto.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 5


def _map_with_a_channel(proto: onnx.ModelProto) -> None:
    proto.graph.output[1].type.tensor_type.shape.dim.add().dim_value = 1


def _features_with_places(proto: onnx.ModelProto) -> None:
    proto.graph.output.append(onnx.helper.make_tensor_value_info("features", onnx.TensorProto.FLOAT, ["N", 8, 4, 4]))


@pytest.mark.parametrize(
    ("sabotage", "message"),
    [
        (_float_image, "input image is FLOAT"),
        (_planar_image, "input image is UINT8"),
        (_another_input_name, r"its inputs are input\.1, not image"),
        (_missing_cam, "its outputs are"),
        (_another_number_of_grades, "output dr_probs is FLOAT"),
        (_map_with_a_channel, "output dr_cam is FLOAT"),
        (_features_with_places, r"output features is FLOAT \[0, 8, 4, 4\], not FLOAT \['N', 'C'\]"),
    ],
)
def test_a_graph_that_breaks_the_contract_is_foreign(
    sabotage, message: str, proto: onnx.ModelProto, manifest: GraphManifest, tmp_path: Path
) -> None:
    sabotage(proto)
    write_graph(proto, manifest, tmp_path / "model.onnx")
    with pytest.raises(ArtefactForeign, match=message):
        open_onnx_model(tmp_path / "model.onnx")


def test_a_graph_that_changed_after_it_was_opened_is_not_used(
    model: OnnxModel, proto: onnx.ModelProto, manifest: GraphManifest
) -> None:
    write_graph(proto, manifest.model_copy(update={"created": "2027"}), model.path)
    with pytest.raises(ArtefactForeign, match=r"model\.onnx changed"):
        load_proto(model)


def test_a_graph_may_give_its_features(
    proto: onnx.ModelProto, model: OnnxModel, manifest: GraphManifest, tmp_path: Path
) -> None:
    proto.graph.output.append(onnx.helper.make_tensor_value_info("pooled", onnx.TensorProto.FLOAT, ["N", None]))
    for node in proto.graph.node:  # the map has this name in this graph
        for names in (node.input, node.output):
            names[:] = [{"features": "map", "pooled": "features"}.get(name, name) for name in names]
    proto.graph.output[-1].name = "features"
    write_graph(proto, manifest, tmp_path / "with.onnx")
    for path in (tmp_path / "with.onnx", model.path):
        assert open_onnx_model(path).manifest == manifest
