"""A stage that is over: which operating point its checkpoint carries."""

from dataclasses import replace

from sall_edge.spec import Role, TaskSet
from trainer.data import prepared_squares
from trainer.evaluate import predict_checkpoint
from trainer.progress import Silence
from trainer.train import train


def test_the_operating_point_of_a_quality_task_is_bound_by_the_good_photographs_that_it_refuses(
    photographs, tasks, quick, cache, tmp_path
) -> None:
    red, green = tasks.tasks
    judging = TaskSet(tasks=(red, green.model_copy(update={"role": Role.QUALITY})))
    points = {}
    for name, of_tasks in (("disease", tasks), ("quality", judging)):
        options = replace(quick, epochs=1, most_refused=0.0, wanted_sensitivity=1.0)
        (checkpoint,) = train(
            photographs, of_tasks, options, tmp_path / name, resume=False, report=Silence(), cache=cache
        )
        points[name] = checkpoint.manifest.operating_points
    squares, _ = prepared_squares(
        [one for one in photographs if one.split == "val"],
        judging.tasks,
        quick.image,
        cache / "val",
        progress=Silence(),
    )
    probs = predict_checkpoint(checkpoint, squares.pixels)["green"]
    refused = probs[:, 1] >= points["quality"]["green"]
    assert not refused[squares.labels[:, 1] == 0].any()
    assert points["quality"]["red"] == points["disease"]["red"]
    assert points["quality"]["green"] >= points["disease"]["green"]
