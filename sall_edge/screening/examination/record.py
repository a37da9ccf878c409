"""The nouns of an examination, as they are stored, reported and shown: frozen, with names that are a contract."""

from collections.abc import Iterable
from datetime import date, datetime
from enum import Enum

from pydantic import BaseModel, ConfigDict

from sall_edge.screening.familiarity import Familiarity
from sall_edge.screening.verdict import ScreenedPhotograph
from sall_edge.spec import Eye, View

__all__ = [
    "Examination",
    "ExaminedPhotograph",
    "EyeResult",
    "Familiarity",
    "GivenUp",
    "Outcome",
    "Person",
    "SideCorrection",
    "TaskResult",
    "View",
    "worst",
]


class Outcome(str, Enum):
    """What follows for an eye or a person, mildest first; `worst` decides between several.

    Attributes:
        NO_REFERRAL: Everything that the programme asks for was graded, and nothing is referable.
        INCOMPLETE: A photograph that the programme asks for is missing, and nothing worse was found on the others.
        HUMAN_GRADING: Graded, but a person has to look: close to the operating point, a retina unlike the training
            photographs, the diseases contradict each other, left and right may be mixed up, one photograph given twice.
        UNGRADABLE_REFERRAL: Could not be graded after as many retakes as the programme allows.
        REFERRAL: A disease is referable.
        URGENT_REFERRAL: A grade that the programme calls urgent.
    """

    NO_REFERRAL = "no_referral"
    INCOMPLETE = "incomplete"
    HUMAN_GRADING = "human_grading"
    UNGRADABLE_REFERRAL = "ungradable_referral"
    REFERRAL = "referral"
    URGENT_REFERRAL = "urgent_referral"

    @property
    def severity(self) -> int:
        """0 for the mildest."""
        return list(Outcome).index(self)


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """The most severe of them, in any order.

    Raises:
        ValueError: There is none: nothing is never "no referral".
    """
    return max(outcomes, key=lambda outcome: outcome.severity)


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Person(_Record):
    """Who is examined.

    Attributes:
        reference: The clinic's own number; never shown outside the clinic's documents.
        name: Family name^given names, as DICOM writes it.
        birth_date, sex: Sex as DICOM has it: M, F or O.
    """

    reference: str
    name: str | None = None
    birth_date: date | None = None
    sex: str | None = None


class ExaminedPhotograph(_Record):
    """One photograph of an examination, with everything that was found on it.

    Attributes:
        photograph_id: UUID of this taking; the file is known by `screened.sha256`, or `sha256` if unreadable.
        sha256: Of the file's bytes.
        suffix: Of the file, ".jpg".
        eye: As the operator or the camera said when it was taken; `Examination.counted` knows what was corrected since.
        eye_seen: As the disc's side shows; None when it does not.
        view: What the programme asked for.
        attempt: 1 for the first photograph of this eye and view.
        taken_at: UTC, of the trigger.
        camera: Its name.
        screened: Quality, grades, verdict, hashes of engine and image specification.
    """

    photograph_id: str
    sha256: str
    suffix: str
    eye: Eye
    eye_seen: Eye | None = None
    view: View
    attempt: int
    taken_at: datetime
    camera: str
    screened: ScreenedPhotograph

    @property
    def familiarity(self) -> Familiarity | None:
        """As screened; None where it was not graded or the engine carries no reference."""
        return self.screened.familiarity


class TaskResult(_Record):
    """One disease of one eye, from the gradable photograph that says the worst.

    Attributes:
        task: Name, as the engine has it.
        grade: Index of the grade.
        referable, urgent: By operating point and by programme.
        referable_probability: Of the photograph that decided.
        photograph_id: That photograph.
        code, title: Of the grade, in the programme's own words; no code where the programme has none.
    """

    task: str
    grade: int
    referable: bool
    urgent: bool
    referable_probability: float
    photograph_id: str
    code: str = ""
    title: str = ""


class EyeResult(_Record):
    """One eye.

    Attributes:
        eye: Which.
        outcome: What follows from it alone.
        reasons: Why, as keys of the message catalogues, worst first; `reasons.eye_keys` lists them all.
        tasks: Per disease; empty when nothing was gradable. A disease that is not referable was not seen on what could
            be graded; it is excluded only if `not_assessed` does not name it.
        chosen: The photograph that stands for each view, by the view's value: of the gradable ones the one that says
            the worst, then the sharpest; the last one taken if none is gradable.
        not_assessed: What this eye's photographs cannot answer, as keys of the catalogues: `task:dr` for a disease
            whose views are not all gradable, and what the programme names; `reasons.not_assessed_keys` lists them all.
    """

    eye: Eye
    outcome: Outcome
    reasons: tuple[str, ...] = ()
    tasks: tuple[TaskResult, ...] = ()
    chosen: dict[str, str] = {}
    not_assessed: tuple[str, ...] = ()


class GivenUp(_Record):
    """The operator says that a photograph cannot be taken: it counts as not gradable, never as negative."""

    eye: Eye
    view: View
    why: str = ""


class SideCorrection(_Record):
    """A photograph that was taken for one eye and is of the other; nothing that was stored of it is changed.

    Attributes:
        photograph_id: Which.
        eye_was, eye_is: Which eye it counted for, and which one it counts for from then on.
        at: UTC.
        by: Who said so, if the program was told.
        replaced: The outcome that the examination was finished with before; None while it went on.
    """

    photograph_id: str
    eye_was: Eye
    eye_is: Eye
    at: datetime
    by: str | None = None
    replaced: Outcome | None = None


class Examination(_Record):
    """A person's visit; a new one is made for every change, and the last one is stored.

    Attributes:
        examination_id: UUID.
        person: Who.
        programme: Name of the screening programme.
        programme_sha256: Of its content.
        operator: Who took the photographs, if the device was told.
        engine_sha256, image_spec_sha256: What graded.
        operating_points: Threshold of the referable probability for each task.
        started_at, finished_at: UTC; not finished is None.
        photographs: In the order of their taking, the retaken ones among them.
        corrections: Of photographs' sides, in the order in which they were said.
        given_up: Photographs that cannot be taken.
        not_examined: Why an eye that the programme asks for is left out, by `Eye` value: a prosthesis, say.
        eyes: Results so far, by `Eye` value; an eye that is left out has none.
        outcome: The worst eye's so far; an eye with a photograph missing is INCOMPLETE at least.
        reasons: Of the person, as in `EyeResult`, with the eye before them: `L:referable:dr`, and `L:not_examined`.
    """

    examination_id: str
    person: Person
    programme: str
    programme_sha256: str
    operator: str | None = None
    engine_sha256: str
    image_spec_sha256: str
    operating_points: dict[str, float]
    started_at: datetime
    finished_at: datetime | None = None
    photographs: tuple[ExaminedPhotograph, ...] = ()
    corrections: tuple[SideCorrection, ...] = ()
    given_up: tuple[GivenUp, ...] = ()
    not_examined: dict[str, str] = {}
    eyes: dict[str, EyeResult] = {}
    outcome: Outcome = Outcome.INCOMPLETE
    reasons: tuple[str, ...] = ()

    @property
    def counted(self) -> tuple[ExaminedPhotograph, ...]:
        """The photographs, each with the eye that it counts for by now; results follow from these."""
        eyes = {correction.photograph_id: correction.eye_is for correction in self.corrections}
        return tuple(
            taken.model_copy(update={"eye": eyes.get(taken.photograph_id, taken.eye)}) for taken in self.photographs
        )
