"""An engine's manifest and its tensors; the network behind it does not matter here."""

from sall_edge.artifacts import EngineManifest
from sall_edge.spec import Backend, ImageSpec, Precision, TargetSpec, Task

SIDE_PX = 32
TASKS = (
    Task(name="dr", title="DR", column="dr_grade", grades=("none", "mild", "severe"), referable_from=2),
    Task(name="amd", title="AMD", column="amd_grade", grades=("none", "late"), referable_from=1),
)
SHAPES = {
    "image": (-1, SIDE_PX, SIDE_PX, 3),
    **{f"{task.name}_probs": (-1, len(task.grades)) for task in TASKS},
    **{f"{task.name}_cam": (-1, 4, 4) for task in TASKS},
}
MANIFEST = EngineManifest(
    image=ImageSpec(side_px=SIDE_PX),
    tasks=TASKS,
    operating_points={"dr": 0.5, "amd": 0.5},
    target=TargetSpec(name="orin-nano", title="Orin Nano", backend=Backend.TENSORRT, max_batch=4),
    precision=Precision.INT8,
    backend_version="10.3.0",
    blob="engine.plan",
    golden_square=(),
)
