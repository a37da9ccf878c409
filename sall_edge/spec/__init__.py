"""What an image, a task and a target are: the words that every package shares.

All of them come from files (task TOML, target TOML, manifests), so they are frozen pydantic models.
"""

from sall_edge.spec.base import Spec, broken_rules
from sall_edge.spec.choices import Arithmetic, Head, Labelling, Method, Profile, RangeMethod
from sall_edge.spec.file import ShippedSpecs, spec_from_toml
from sall_edge.spec.photograph import PREPARE_VERSION, Eye, ImageSpec, View
from sall_edge.spec.target import Backend, HardwareCompatibility, Precision, PrecisionChoice, TargetSpec
from sall_edge.spec.task import Role, Task, TaskSet, disease_tasks, tasks_from_toml

__all__ = [
    "PREPARE_VERSION",
    "Arithmetic",
    "Backend",
    "Eye",
    "HardwareCompatibility",
    "Head",
    "ImageSpec",
    "Labelling",
    "Method",
    "Precision",
    "PrecisionChoice",
    "Profile",
    "RangeMethod",
    "Role",
    "ShippedSpecs",
    "Spec",
    "TargetSpec",
    "Task",
    "TaskSet",
    "View",
    "broken_rules",
    "disease_tasks",
    "spec_from_toml",
    "tasks_from_toml",
]
