import pytest

from sall_edge.runtime.nvidia_errors import explain


@pytest.mark.parametrize(
    ("said", "meant", "remedy"),
    [
        (
            'head (Foo): creator && "Plugin not found, are the plugin name and version correct?"',
            "head (Foo)",
            "openvino",
        ),
        ("graph: Assertion failed: Failed to parse the ONNX model.", "no ONNX graph", "export it again"),
        (
            "In node 7: No importer registered for op: NonMaxSuppression",
            "no operator for NonMaxSuppression",
            "openvino-cpu",
        ),
        (
            "In node 3 (importFallbackPluginImporter): Plugin not found, name: Foo, version: 1",
            "operator for Foo",
            "export",
        ),
        (
            "[defaultAllocator.cpp::allocate] Error Code 1: Cuda Runtime (out of memory)",
            "memory is not",
            "workspace_mib",
        ),
        ("Error Code 2: OutOfMemory (Requested size was 536870912 bytes.)", "memory is not enough", "swap"),
        (
            "Error Code 10: Internal Error (Could not find any implementation for node stem + relu.)",
            "stem + relu",
            "fp16",
        ),
        ("IRuntime::deserializeCudaEngine: Error Code 6: The engine plan file is not compatible", "another", "rebuild"),
        (
            "Serialization assertion stdVersionRead == kSERIALIZATION_VERSION failed.Version tag does not match",
            "anoth",
            "re",
        ),
        ("CUDA initialization failure with error: 35. Please check your CUDA installation", "error 35", "nvidia-smi"),
        ("DLA validation failed", "deep learning accelerator", "dla_core"),
        ("Default DLA is enabled but layer node_softmax is not supported on DLA", "(node_softmax)", "dla_core"),
    ],
)
def test_nvidias_messages_are_explained_and_quoted(said: str, meant: str, remedy: str) -> None:
    found = explain(["something else", said], fix="none of these")
    assert meant in found.why
    assert "NVIDIA: " in found.why
    assert remedy in found.fix


def test_what_is_not_known_is_passed_on_with_the_callers_remedy() -> None:
    found = explain(["first\n  second\nthird", "another"], fix="report it")
    assert (found.why, found.fix) == ("first second; another", "report it")


def test_silence_is_called_silence() -> None:
    assert explain([], fix="report it").why == "TensorRT gave no reason"
