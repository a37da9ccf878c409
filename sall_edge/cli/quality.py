"""`sall-edge quality check` and `sall-edge quality fit`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sall_edge.cli.arguments import Json, Labels, Output, Side, Split
from sall_edge.cli.quality_limits import limits_of
from sall_edge.errors import ArtefactForeign
from sall_edge.spec import ImageSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sall_edge.bench.accuracy.gradability import Gradability, Looked
    from sall_edge.cli.quality_text import Checked, Fitted
    from sall_edge.fundus.labels import LabelledPhotograph
    from sall_edge.fundus.quality import QualityLimits
    from sall_edge.runtime.session import Session
    from sall_edge.screening.quality_head import QualityHead

__all__ = ["quality"]

quality = typer.Typer(
    no_args_is_help=True, help="May a photograph be graded? Measures, score and reasons; limits of a camera."
)

Limits = Annotated[
    Path | None,
    typer.Option("--limits", metavar="TOML", help="Limits to judge by, or to begin with; without it the defaults."),
]
Column = Annotated[str, typer.Option(help="Column of the labels that says whether a photograph may be graded.")]
Good = Annotated[str, typer.Option(help="Its word for those that may; empty cells are left out.")]


@quality.command("check")
def check(
    photographs: Annotated[
        list[Path] | None, typer.Argument(metavar="PHOTO", help="Photographs or folders of them.")
    ] = None,
    labels: Annotated[list[Path] | None, typer.Option("--labels", help="Labels CSV instead, or as well.")] = None,
    split: Annotated[str | None, typer.Option(help="Which rows of it; all, unless it is given.")] = None,
    limits: Limits = None,
    quality_column: Column = "quality",
    good: Good = "good",
    side: Side = 320,
    engine: Annotated[
        Path | None,
        typer.Option(metavar="ENGINE", help="Judge by its quality task as well, as screen does; its side is taken."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Measures, score and reasons of every photograph; with labels also how well the limits tell good from bad.

    Exit 1 if a photograph could not be read; the others still come.
    """
    from sall_edge.cli.quality_text import Checked, checked_json, checked_text
    from sall_edge.screening.photographs import find_photographs

    if not photographs and not labels:
        raise typer.BadParameter("name photographs, or give --labels")
    named = [_unlabelled(path) for path in find_photographs(photographs or ())]
    judge_by, rows = limits_of(limits), [*named, *_rows(labels or (), split)]
    if engine is None:
        looked = _looked(rows, ImageSpec(side_px=side))
        report = _measured(_labelled(looked, quality_column), quality_column, good, judge_by)
        checked = Checked(looked=looked, limits=judge_by, report=report)
    else:
        checked = _checked_with(engine, rows, quality_column, good, judge_by)
    typer.echo(checked_json(checked) if as_json else checked_text(checked))
    raise typer.Exit(1 if any(one.error for one in checked.looked) else 0)


@quality.command("fit")
def fit(
    labels: Labels,
    output: Output,
    camera: Annotated[str, typer.Option(help="Name of the camera, as it stands in records.")],
    most_refused: Annotated[
        float, typer.Option(min=0, max=0.5, help="Share of the good photographs that may be refused.")
    ] = 0.02,
    split: Split = "train",
    limits: Limits = None,
    quality_column: Column = "quality",
    good: Good = "good",
    side: Side = 320,
    as_json: Json = False,
) -> None:
    """Limits for a camera: as many bad photographs refused as a share of refused good ones allows.

    What it reports was measured on the photographs that it fitted; `quality check` on others says what to expect.
    """
    from sall_edge.cli.quality_text import fitted_json, fitted_text
    from sall_edge.fundus.quality.limits import toml_of_limits
    from sall_edge.writing import check_writable, file_being_written

    check_writable(output)
    rows = [row for row in _rows(labels, split) if row.extra.get(quality_column)]
    looked = [one for one in _looked(rows, ImageSpec(side_px=side)) if not one.error]
    fitted = _fitted(looked, quality_column, good, limits_of(limits), camera=camera, most_refused=most_refused)
    with file_being_written(output) as file:
        file.write_text(toml_of_limits(fitted.after), encoding="utf-8")
    typer.echo(fitted_json(fitted) if as_json else f"{fitted_text(fitted)}\n{output}: limits of {camera}")


def _fitted(
    looked: "Sequence[Looked]", column: str, good: str, before: "QualityLimits", *, camera: str, most_refused: float
) -> "Fitted":
    """New limits, and what they do to the photographs beside the old ones."""
    from sall_edge.cli.quality_text import Fitted
    from sall_edge.fundus.quality.fit import fit_limits

    kinds: dict[bool, list[dict[str, float]]] = {True: [], False: []}
    for one in looked:  # without a field of view nothing can be graded
        kinds[one.photograph.extra[column] == good].append(one.measures or {"brightness": 0.0})
    after = fit_limits(kinds[True], kinds[False], camera=camera, start=before, most_refused=most_refused)
    return Fitted(
        before=before,
        after=after,
        report_before=_measured(looked, column, good, before),
        report=_measured(looked, column, good, after),
        refused=[one for one in looked if one.photograph.extra[column] == good and one.reasons(after)],
    )


def _checked_with(
    path: Path, rows: "Sequence[LabelledPhotograph]", column: str, good: str, limits: "QualityLimits"
) -> "Checked":
    """The photographs by the limits and by the quality task of an engine, together and each alone."""
    import numpy as np

    from sall_edge.artifacts import open_engine
    from sall_edge.bench.accuracy.gradability import measure_head
    from sall_edge.cli.quality_text import Checked
    from sall_edge.runtime.session import open_session
    from sall_edge.screening.quality_head import quality_head_of

    opened = open_engine(path)
    head = quality_head_of(opened.manifest.tasks, opened.manifest.operating_points)
    if head is None:
        names = ", ".join(task.name for task in opened.manifest.tasks)
        fix = "leave --engine out, or train a network with a quality task (docs/quality.md)"
        raise ArtefactForeign(f"{path} has no opinion of quality", f"it grades {names}", fix)
    with open_session(opened) as session:
        looked = _looked(rows, opened.manifest.image, session)
    labelled = _labelled(looked, column)
    words = [one.photograph.extra[column] for one in labelled]
    return Checked(
        looked=looked,
        limits=limits,
        report=_measured(labelled, column, good, limits, head),
        head=head,
        engine_sha256=opened.sha256,
        by_measures=_measured(labelled, column, good, limits),
        by_head=measure_head(labelled, words, good, head, rng=np.random.default_rng(0)) if labelled else None,
    )


def _labelled(looked: "Sequence[Looked]", column: str) -> "list[Looked]":
    return [one for one in looked if not one.error and one.photograph.extra.get(column)]


def _rows(labels: "Sequence[Path]", split: str | None) -> "list[LabelledPhotograph]":
    """All rows, or those of a split."""
    from sall_edge.fundus.labels import read_labels

    return [row for row in read_labels(labels, None) if split is None or row.split == split]


def _unlabelled(path: Path) -> "LabelledPhotograph":
    from sall_edge.fundus.labels import LabelledPhotograph

    return LabelledPhotograph(path=path, grades={}, patient_id=str(path), eye="", split="", source_csv=Path(), extra={})


def _looked(
    photographs: "Sequence[LabelledPhotograph]", image: ImageSpec, session: "Session | None" = None
) -> "tuple[Looked, ...]":
    """The photographs with a bar; those that cannot be read are named."""
    from sall_edge.bench.accuracy.gradability import look_for_quality
    from sall_edge.cli.progress import progress_bar

    with progress_bar("looking", len(photographs)) as bar:
        looked = look_for_quality(photographs, image, session=session, advance=bar.advance)
        for one in looked:
            if one.error:
                bar.note(f"left out: {one.photograph.path}: {one.error}")
    return looked


def _measured(
    looked: "Sequence[Looked]", column: str, good: str, limits: "QualityLimits", head: "QualityHead | None" = None
) -> "Gradability | None":
    """None where nothing is labelled."""
    import numpy as np

    from sall_edge.bench.accuracy.gradability import measure_gradability

    if not looked:
        return None
    labels = [one.photograph.extra[column] for one in looked]
    return measure_gradability(looked, labels, good, limits, rng=np.random.default_rng(0), head=head)
