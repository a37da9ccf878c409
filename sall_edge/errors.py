"""Everything that can go wrong on purpose, as one tree.

SallEdgeError
├── PhotographError         one photograph; the others still come
│   ├── UnreadablePhotograph    missing, empty, truncated, not an image, too large
│   └── UngradablePhotograph    readable, but it must not be graded: retake
│       └── FieldNotFound           no bright disc that could be a retina
├── LabelsError             a labels CSV or a task file
├── ArtefactError           a file that this project wrote, or should have
│   ├── ArtefactMissing
│   ├── ArtefactChanged         its bytes are not the ones that were recorded
│   └── ArtefactForeign         another program, another format version
├── OutputError             a result cannot be written
├── TrainingError
├── ParityError             two graphs that should agree do not
├── CalibrationError
├── BuildError              a compiler refused the graph, or a target cannot be built here
├── BackendMissing          a runtime is not installed or its driver is not there
├── DeviceFailed            the GPU or its library failed while it opened or ran an engine
├── CameraError             a camera, or what delivers its photographs, cannot be used now
├── ExaminationError        a step that the examination does not allow
├── StoreError              examinations cannot be stored, read or trusted
│   ├── StoreFull               no room for another examination: said before the capture
│   ├── StoreLocked             the key is missing or another one
│   └── AuditBroken             the log is not the one that was written
├── CatalogueError          texts of a language are missing or break a rule
├── DocumentError           a report cannot be written or does not validate
└── GateRefused             the engine changes verdicts: exit code 3
"""

__all__ = [
    "ArtefactChanged",
    "ArtefactError",
    "ArtefactForeign",
    "ArtefactMissing",
    "AuditBroken",
    "BackendMissing",
    "BuildError",
    "CalibrationError",
    "CameraError",
    "CatalogueError",
    "DeviceFailed",
    "DocumentError",
    "ExaminationError",
    "FieldNotFound",
    "GateRefused",
    "LabelsError",
    "OutputError",
    "ParityError",
    "PhotographError",
    "SallEdgeError",
    "StoreError",
    "StoreFull",
    "StoreLocked",
    "TrainingError",
    "UngradablePhotograph",
    "UnreadablePhotograph",
]


class SallEdgeError(Exception):
    """A failure that a user can act on.

    Args:
        what: What happened, with the name and the value that it happened to.
        why: The rule or the cause.
        fix: What to type or to change.
    """

    def __init__(self, what: str, why: str, fix: str) -> None:
        super().__init__(what, why, fix)
        self.what = what
        self.why = why
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.what}\n  why: {self.why}\n  fix: {self.fix}"


class PhotographError(SallEdgeError):
    """One photograph cannot be used; the others still come."""


class UnreadablePhotograph(PhotographError):
    """The file is missing, empty, truncated, too large or no image."""


class UngradablePhotograph(PhotographError):
    """The photograph was read but must not be graded; it is a retake, never a negative."""


class FieldNotFound(UngradablePhotograph):
    """No bright disc that could be a retina."""


class LabelsError(SallEdgeError):
    """A labels CSV or a task file breaks a rule."""


class ArtefactError(SallEdgeError):
    """A checkpoint, graph or engine cannot be used."""


class ArtefactMissing(ArtefactError):
    """A file of the artefact is not there."""


class ArtefactChanged(ArtefactError):
    """The bytes are not the ones whose hash was recorded."""


class ArtefactForeign(ArtefactError):
    """Written by another program or in another format version."""


class OutputError(SallEdgeError):
    """A result cannot be written where it was asked for."""


class TrainingError(SallEdgeError):
    """Training cannot start or go on."""


class ParityError(SallEdgeError):
    """Two graphs that should agree do not."""


class CalibrationError(SallEdgeError):
    """Ranges or a Q/DQ graph that would give a wrong INT8 engine."""


class BuildError(SallEdgeError):
    """A compiler refused the graph, or the target cannot be built on this machine."""


class BackendMissing(SallEdgeError):
    """A runtime, or the driver that it needs, is not on this machine."""


class DeviceFailed(SallEdgeError):
    """The GPU, its driver or its library failed while it opened or ran an engine: out of memory, a lost device."""


class CameraError(SallEdgeError):
    """A camera, or what delivers its photographs, cannot be used now: unplugged, frozen, black, of another size."""


class ExaminationError(SallEdgeError):
    """A step that the examination does not allow, or a programme that breaks a rule."""


class StoreError(SallEdgeError):
    """Examinations cannot be stored, read or trusted."""


class StoreFull(StoreError):
    """There is no room for another examination; said before anything is captured."""


class StoreLocked(StoreError):
    """The store is encrypted, and its key is missing or another one."""


class AuditBroken(StoreError):
    """The audit log is not the one that was written: an entry was changed, removed or put in."""


class CatalogueError(SallEdgeError):
    """Texts of a language are missing, or its file breaks a rule."""


class DocumentError(SallEdgeError):
    """A report cannot be written, or does not validate."""


class GateRefused(SallEdgeError):
    """The engine changes verdicts beyond the limits.

    Attributes:
        reasons: One sentence for each limit that is broken.
        is_undecided: Whether there were too few labelled photographs to say anything.
    """

    def __init__(
        self, what: str, why: str, fix: str, *, reasons: tuple[str, ...] = (), is_undecided: bool = False
    ) -> None:
        super().__init__(what, why, fix)
        self.reasons = reasons
        self.is_undecided = is_undecided
