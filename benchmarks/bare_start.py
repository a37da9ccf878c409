"""What `start_up.py` compares with: OpenCV and OpenVINO, one photograph decoded at the same scale, one inference.

    python benchmarks/bare_start.py GRAPH SIDE PHOTOGRAPH SCALE_DENOMINATOR [--phases]

GRAPH is an ONNX file or OpenVINO's IR, which is compiled, or a network that OpenVINO exported (`.blob`), which is
imported. `start_up.py` gives it the network that the product compiles.
No field of view, no quality, no hashes, no verdict: what any program with these two libraries has to do. With
`--phases` the last line says in milliseconds what took how long.
"""

import json
import sys
import time
from pathlib import Path

began = time.perf_counter()
import cv2  # noqa: E402, the import is timed
import openvino as ov  # noqa: E402

imported = time.perf_counter()
graph, side, photograph, scale = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
core = ov.Core()
hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
if graph.endswith(".blob"):
    compiled = core.import_model(Path(graph).read_bytes(), "CPU", hints)
else:
    model = core.read_model(graph)
    model.reshape([1, side, side, 3])
    compiled = core.compile_model(model, "CPU", hints)
request = compiled.create_infer_request()
opened = time.perf_counter()
flags = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}
pixels = cv2.cvtColor(cv2.imread(photograph, flags[scale]), cv2.COLOR_BGR2RGB)
square = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA)
decoded = time.perf_counter()
outputs = request.infer([square[None]])
done = time.perf_counter()
print({output.any_name: values[0].tolist() for output, values in outputs.items() if "probs" in output.any_name})
if "--phases" in sys.argv:
    times = {"import": imported - began, "open": opened - imported, "decode": decoded - opened, "infer": done - decoded}
    print(json.dumps({name: round(seconds * 1e3, 1) for name, seconds in times.items()}))
