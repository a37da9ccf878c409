"""A bundle gets the plan of the machine that it lies on: its own graph, compiled here, proven on its probes.

A TensorRT plan runs only in the version that wrote it. The bundle carries the graph that was judged, so a device with
another version needs no file from elsewhere, no onnx and no torch. Until the new bundle stands whole in the old one's
place, the old one stays.
"""

import shutil
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from engines.build_progress import Progress
from engines.claim import claimed
from engines.compile import GRAPH_NAMES, compile_graph, compiler_version
from engines.compiled import QUIET, Compiled, CompilerOptions
from engines.gate import GATE_NAME
from engines.probes import PROBES_NAME, read_probes
from engines.smoke import smoke
from engines.verify import Verified, verify
from sall_edge.artifacts import Engine, EngineManifest, open_engine, seal, sha256_of_file
from sall_edge.errors import ArtefactChanged, ArtefactMissing, BuildError
from sall_edge.runtime.familiar_retinas import FAMILIARITY_NAME
from sall_edge.runtime.machine import describe
from sall_edge.writing import folder_being_written

__all__ = ["is_current", "rebuild"]

_NOT_VERIFIED = "not verified: the bundle carries no probes"


def is_current(engine: Engine) -> bool:
    """Whether the compiler on this machine has the version that wrote the engine.

    Raises:
        BackendMissing: It is not installed.
    """
    return compiler_version(engine.manifest.target.backend) == engine.manifest.backend_version


def rebuild(
    engine: Engine,
    *,
    options: CompilerOptions = QUIET,
) -> Engine:
    """The same engine, compiled by this machine's compiler, in the place of the old one.

    Image, tasks, operating points, graphs, `gate.json`, `familiarity.json` and probes are the old ones. The manifest's
    provenance says under `rebuilt` what was compiled when, and on how many probes it was verified.

    Args:
        engine: What is replaced; it is opened again once no other process can replace it.
        options: Progress, and where TensorRT's timings are kept.

    Raises:
        GateRefused: The new engine does not decide as the judged one, see `verify`.
        ParityError: It does not compute what its graph says, see `smoke`.
        BuildError: Another process rebuilds the bundle, the compiler refuses the graph, or the plan cannot be run and
            so not be verified on this machine.
        BackendMissing: The compiler, or the driver that it needs, is not on this machine.
        ArtefactError: The old bundle is damaged.
        OutputError: The place cannot be written.
    """
    path = engine.path.resolve()  # of a link, what it leads to is replaced
    with claimed(path) as remember:
        old = open_engine(path)
        with folder_being_written(path) as folder:
            remember(folder)
            _write(old, folder, options)
    return open_engine(engine.path)


def _write(old: Engine, folder: Path, options: CompilerOptions) -> None:
    """The new bundle, sealed, in `folder`."""
    _carry(old, folder)
    options.progress.stage("compiling", 1)  # TensorRT goes on with a stage of its own
    start = time.perf_counter()
    compiled = _compiled(old, folder, options)
    build_s = time.perf_counter() - start
    options.progress.advance()
    changes = {"backend_version": compiled.backend_version, "blob": compiled.blob}
    manifest = old.manifest.model_copy(update=changes)
    tried, verified = _proven(Engine(path=folder, manifest=manifest, sha256=""), old, options.progress)
    facts = {
        "machine": describe(),
        "build_s": round(build_s, 3),
        "kernels": compiled.kernels.as_json(),
        **({"dla": {"left_to_gpu": list(compiled.left_to_gpu)}} if manifest.target.dla_core is not None else {}),
        "smoke": tried,
    }
    provenance = old.manifest.provenance | facts | _history(old.manifest, compiled, verified)
    seal(folder, manifest.model_copy(update={"provenance": provenance}))


def _carry(old: Engine, folder: Path) -> None:
    """Copies what does not depend on the compiler: the graphs, the report, the probes and the familiarity."""
    graph = GRAPH_NAMES[old.manifest.precision]
    if graph not in old.manifest.files:
        why = f"an {old.manifest.precision.value} plan is compiled from it"
        raise ArtefactMissing(f"{old.path} carries no {graph}", why, "build the engine again from its checkpoint")
    for name, recorded in old.manifest.files.items():
        if name in {*GRAPH_NAMES.values(), GATE_NAME, PROBES_NAME, FAMILIARITY_NAME}:
            shutil.copyfile(old.path / name, folder / name)
            if sha256_of_file(folder / name) != recorded:  # or it would be sealed as if it were the judged one
                fix = "check the disk; the old bundle stays"
                raise ArtefactChanged(f"{old.path / name} changed while it was copied", "its sha256 is another", fix)


def _compiled(old: Engine, folder: Path, options: CompilerOptions) -> Compiled:
    manifest = old.manifest
    compiled = compile_graph(
        folder, target=manifest.target, image=manifest.image, precision=manifest.precision, options=options
    )
    if compiled.not_run_because:
        fix = "rebuild on the machine that runs it"
        raise BuildError(f"{old.path} cannot be verified on this machine", compiled.not_run_because, fix)
    return compiled


def _proven(new: Engine, old: Engine, progress: Progress) -> tuple[dict[str, Any], Verified | None]:
    """What `smoke` found, and what the probes did; None without probes."""
    probes = read_probes(old)
    progress.stage("verifying", 1 + (0 if probes is None else len(probes.squares)))
    tried = smoke(new)
    progress.advance()
    return tried, None if probes is None else verify(new, probes, advance=progress.advance)


def _history(old: EngineManifest, compiled: Compiled, verified: Verified | None) -> dict[str, Any]:
    """The provenance's `gate` and `rebuilt`; what was judged stays the first build, however often it is rebuilt."""
    before = old.provenance.get("rebuilt", {})
    judged_as = before.get("judged_as", old.backend_version)
    gate = before.get("gate_as_built", old.provenance.get("gate", "not judged"))
    checked = _NOT_VERIFIED if verified is None else f"verified on {verified.probes} probes after the rebuild"
    rebuilt: dict[str, Any] = {
        "from": old.backend_version,
        "to": compiled.backend_version,
        "verified": checked,
        **({} if verified is None else _differences(verified)),
        "when": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "judged_as": judged_as,
        "gate_as_built": gate,
    }
    said = gate if gate == "not judged" else f"{gate}; judged as {judged_as}; {checked}"
    return {"gate": said, "rebuilt": rebuilt}


def _differences(verified: Verified) -> dict[str, float]:
    return {
        "largest_difference": verified.found.largest,
        "largest_when_judged": verified.judged.largest,
        "mean_difference": verified.found.mean,
        "mean_when_judged": verified.judged.mean,
    }
