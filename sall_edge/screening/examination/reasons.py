"""Every reason that an examination can give, as the keys of the message catalogues, and what follows from each.

A reason is a kind and what it is about, with colons between: `referable:dr`, `conflict:dr:amd`, `ungradable:disc`,
`unfamiliar`. An outcome is the worst that follows from the reasons, so a reason and its consequence cannot part.
"""

from collections.abc import Iterable
from enum import Enum
from itertools import combinations

from sall_edge.screening.examination.record import Outcome, View, worst
from sall_edge.spec import Eye

__all__ = [
    "PHOTOGRAPH_KEYS",
    "NotAssessed",
    "Reason",
    "eye_keys",
    "not_assessed_keys",
    "of_eye",
    "outcome_of",
    "person_keys",
    "task_not_assessed",
    "worst_first",
]


class Reason(str, Enum):
    """Kinds of reasons, worst first.

    Attributes:
        URGENT, REFERABLE: A disease, on any gradable photograph of the eye.
        UNGRADABLE: A view whose attempts are used up without a gradable photograph.
        GIVEN_UP: A view that the operator could not photograph.
        CONFLICT: Two diseases that may be explained by the same lesions, and neither is sure.
        LOW_CONFIDENCE: A disease just below its operating point.
        UNFAMILIAR: A retina unlike the photographs that the network was trained on.
        LATERALITY: The disc lies on the side of the other eye.
        REPEATED: The same file stands for two photographs.
        MISSING: A view that is still to be photographed.
        NOT_EXAMINED: An eye that was left out for a stated reason; nothing follows from it.
    """

    URGENT = "urgent"
    REFERABLE = "referable"
    UNGRADABLE = "ungradable"
    GIVEN_UP = "given_up"
    CONFLICT = "conflict"
    LOW_CONFIDENCE = "low_confidence"
    UNFAMILIAR = "unfamiliar"
    LATERALITY = "laterality"
    REPEATED = "repeated"
    MISSING = "missing"
    NOT_EXAMINED = "not_examined"

    def key(self, *about: str) -> str:
        """The key of the catalogues."""
        return ":".join((self.value, *about))

    @property
    def outcome(self) -> Outcome:
        """What follows from it."""
        match self:
            case Reason.URGENT:
                return Outcome.URGENT_REFERRAL
            case Reason.REFERABLE:
                return Outcome.REFERRAL
            case Reason.UNGRADABLE | Reason.GIVEN_UP:
                return Outcome.UNGRADABLE_REFERRAL
            case Reason.MISSING:
                return Outcome.INCOMPLETE
            case Reason.NOT_EXAMINED:
                return Outcome.NO_REFERRAL
            case _:
                return Outcome.HUMAN_GRADING


class NotAssessed(str, Enum):
    """What a programme may name as beyond its photographs or its network.

    Attributes:
        MACULOPATHY: Diabetic maculopathy or macular oedema.
        GLAUCOMA: And other diseases of the optic nerve.
        OTHER_DISEASES: Whatever else a retina can have.
        PERIPHERY: The retina outside the photographs.
    """

    MACULOPATHY = "maculopathy"
    GLAUCOMA = "glaucoma"
    OTHER_DISEASES = "other_diseases"
    PERIPHERY = "periphery"


PHOTOGRAPH_KEYS = frozenset({"unreadable", Reason.LATERALITY.value, Reason.UNFAMILIAR.value})
"""What `findings.photograph_reasons` adds to the reasons of the quality gate."""


def task_not_assessed(task: str) -> str:
    """The key for a disease that cannot be answered."""
    return f"task:{task}"


def of_eye(eye: Eye, key: str) -> str:
    """The key as a person's reason."""
    return f"{eye.value}:{key}"


def outcome_of(keys: Iterable[str]) -> Outcome:
    """What follows from an eye's reasons; NO_REFERRAL if there are none.

    Raises:
        ValueError: A key of another kind.
    """
    return worst((Outcome.NO_REFERRAL, *(_kind(key).outcome for key in keys)))


def worst_first(keys: Iterable[str]) -> tuple[str, ...]:
    """Each key once, in an order that does not depend on the order of the photographs."""
    kinds = list(Reason)
    return tuple(sorted(set(keys), key=lambda key: (kinds.index(_kind(key)), key)))


def eye_keys(tasks: Iterable[str], views: Iterable[View] = tuple(View)) -> frozenset[str]:
    """Every key that an `EyeResult.reasons` can hold.

    Args:
        tasks: Names of the diseases, in the programme's order.
        views: That the programme asks for.
    """
    names = tuple(tasks)
    of_tasks = {kind.key(task) for kind in (Reason.URGENT, Reason.REFERABLE, Reason.LOW_CONFIDENCE) for task in names}
    of_views = {
        kind.key(view) for kind in (Reason.UNGRADABLE, Reason.GIVEN_UP, Reason.MISSING) for view in _values(views)
    }
    conflicts = {Reason.CONFLICT.key(*pair) for pair in combinations(names, 2)}
    plain = {kind.key() for kind in (Reason.UNFAMILIAR, Reason.LATERALITY, Reason.REPEATED)}
    return frozenset(of_tasks | of_views | conflicts | plain)


def person_keys(tasks: Iterable[str], views: Iterable[View] = tuple(View)) -> frozenset[str]:
    """Every key that an `Examination.reasons` can hold."""
    keys = eye_keys(tasks, views) | {Reason.NOT_EXAMINED.key()}
    return frozenset(of_eye(eye, key) for eye in Eye for key in keys)


def not_assessed_keys(tasks: Iterable[str]) -> frozenset[str]:
    """Every key that an `EyeResult.not_assessed` can hold."""
    return frozenset({*(task_not_assessed(task) for task in tasks), *(named.value for named in NotAssessed)})


def _kind(key: str) -> Reason:
    return Reason(key.partition(":")[0])


def _values(views: Iterable[View]) -> tuple[str, ...]:
    return tuple(view.value for view in views)
