"""What happens at a device, as it happens: one line of JSON each for an integrator, and all that a page needs."""

from datetime import datetime, timezone
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from sall_edge.errors import SallEdgeError
from sall_edge.screening.camera.source import CameraState, WhySetAside
from sall_edge.screening.examination.record import EyeResult, Outcome, View
from sall_edge.spec import Eye

__all__ = [
    "Aiming",
    "CameraChanged",
    "Captured",
    "Event",
    "ExaminationFinished",
    "ExaminationStarted",
    "Failed",
    "PhotographJudged",
    "PhotographSetAside",
    "PhotographWanted",
    "ReportWritten",
    "SideAsked",
    "SideCorrected",
    "Waiting",
]


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True)

    at: datetime = Field(default_factory=lambda: datetime.now(timezone.utc))


class ExaminationStarted(_Event):
    """A person is in front of the camera."""

    event: Literal["examination_started"] = "examination_started"
    examination_id: str


class PhotographWanted(_Event):
    """The next photograph: which eye, what it is centred on, which attempt; `reasons` say why it is taken again."""

    event: Literal["photograph_wanted"] = "photograph_wanted"
    eye: Eye
    view: View
    attempt: int
    attempts_left: int
    reasons: tuple[str, ...] = ()


class Aiming(_Event):
    """Live guidance, several times a second; never stored.

    Attributes:
        field_found: Whether a retina is in the frame.
        offset_x, offset_y: From the frame's centre to the field's, in radii of the field; right and down are positive.
        focus, exposure: 0 (useless) to 1 (as good as it gets); exposure 0.5 is right, less is dark, more is bright.
        hints: What to do, most urgent first, as keys of the catalogues; empty when the shutter may be released.
        is_steady: Whether a photograph would be good now, and was a moment ago.
    """

    event: Literal["aiming"] = "aiming"
    field_found: bool
    offset_x: float | None = None
    offset_y: float | None = None
    focus: float | None = None
    exposure: float | None = None
    hints: tuple[str, ...] = ()
    is_steady: bool = False


class Waiting(_Event):
    """Nothing happened for a moment; whoever watches over the device sees that it goes on. Never stored."""

    event: Literal["waiting"] = "waiting"


class CameraChanged(_Event):
    """The camera went, came back, froze, went black."""

    event: Literal["camera_changed"] = "camera_changed"
    camera: str
    state: CameraState
    message: str = ""


class Captured(_Event):
    """A photograph was taken and is being judged."""

    event: Literal["captured"] = "captured"
    photograph_id: str
    eye: Eye
    view: View
    attempt: int


class PhotographJudged(_Event):
    """Quality and verdict of a photograph, after it was stored."""

    event: Literal["photograph_judged"] = "photograph_judged"
    photograph_id: str
    gradable: bool
    reasons: tuple[str, ...] = ()
    trigger_to_stored_ms: float


class SideAsked(_Event):
    """Nothing more is wanted, and the disc of the last photograph lies on the other side than that of its eye.

    `Command.OTHER_EYE` says within `wait_s` that it is of the other one; any other wish, or none, leaves it.
    """

    event: Literal["side_asked"] = "side_asked"
    photograph_id: str
    eye: Eye
    wait_s: float


class SideCorrected(_Event):
    """A photograph counts for the other eye than it was taken for, after that was stored."""

    event: Literal["side_corrected"] = "side_corrected"
    photograph_id: str
    eye_was: Eye
    eye_is: Eye


class PhotographSetAside(_Event):
    """A photograph arrived that belongs to no examination; it is kept where it is.

    Attributes:
        name: What a person can find it by: of its file, else of its DICOM instance, else of the camera.
        why: A key of the catalogues; `Catalogue.set_aside` makes words of it and of the rest.
        eye: That the camera says it is of.
        taken_at: Of one from before the examination.
        detail: Of one that cannot be read: what the error says.
    """

    event: Literal["photograph_set_aside"] = "photograph_set_aside"
    name: str
    why: WhySetAside
    eye: Eye | None = None
    taken_at: datetime | None = None
    detail: str | None = None


class ExaminationFinished(_Event):
    """Every photograph that the programme asks for was taken, or given up."""

    event: Literal["examination_finished"] = "examination_finished"
    examination_id: str
    outcome: Outcome
    reasons: tuple[str, ...]
    eyes: tuple[EyeResult, ...]


class ReportWritten(_Event):
    """A document is ready."""

    event: Literal["report_written"] = "report_written"
    examination_id: str
    files: tuple[str, ...]


class Failed(_Event):
    """Something that a person has to know, with what to do; the loop goes on."""

    event: Literal["failed"] = "failed"
    what: str
    why: str
    fix: str

    @classmethod
    def of(cls, problem: SallEdgeError) -> "Failed":
        """The error as an event."""
        return cls(what=problem.what, why=problem.why, fix=problem.fix)


Event = (
    ExaminationStarted
    | PhotographWanted
    | Aiming
    | Waiting
    | CameraChanged
    | Captured
    | PhotographJudged
    | SideAsked
    | SideCorrected
    | PhotographSetAside
    | ExaminationFinished
    | ReportWritten
    | Failed
)
