"""The frozen description that every other one is, and what is wrong with one that breaks its rules."""

import hashlib
import json

from pydantic import BaseModel, ConfigDict, ValidationError

__all__ = ["Spec", "broken_rules"]


class Spec(BaseModel):
    """A frozen description that knows its own hash."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    @property
    def sha256(self) -> str:
        """Hex digest of the canonical JSON (sorted keys, no blanks)."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


def broken_rules(problem: ValidationError) -> str:
    """Every rule that was broken, with the name of its entry, on one line for an error message."""
    return "; ".join(f"{'.'.join(map(str, one['loc'])) or 'file'}: {one['msg']}" for one in problem.errors())
