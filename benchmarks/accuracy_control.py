"""Compares the search for a mix of precisions with NNCF's `quantize_with_accuracy_control` on OpenVINO.

    python -m benchmarks.accuracy_control --cases swin convolutions-0 encoder-0

NNCF has an environment of its own: see `accuracy_control_nncf.py`. Both get the same FP32 weights, the same
calibration and validation samples and the same margin. The searches run one after another. Results are kept
in var/accuracy_control: a run that was stopped goes on, and `--again` searches anew. An evaluation is a pass
over all validation samples; a pass over a share of them counts as that share. Use an otherwise idle machine.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.accuracy_control_cases import CASES, Case, prepared, write_right
from paddle_int8.tasks.process.host_lock import measuring
from paddle_int8.tasks.validation.statistics import metric_evidence

NNCF = Path(__file__).with_name("accuracy_control_nncf.py")
OURS: dict[str, dict[str, Any]] = {
    "`mixed`": {},
    "`mixed`, a scale a channel": {"weight_quantize_type": "channel_wise_abs_max"},
    "`mixed` from `smooth`": {"algorithms": ["smooth"]},
}
"""Our searches, and what each changes in the section `quantization` of its case."""
THEIRS: dict[str, dict[str, bool]] = {
    "NNCF": {},
    "NNCF, one scale a weight": {"one_scale": True},
    "NNCF, `model_type` transformer": {"transformer": True},
    "NNCF, ranked by outputs": {"by_outputs": True},
}
"""NNCF's searches, and how each differs from NNCF's defaults. Only the last ranks layers by something other
than the metric."""
ASKED: dict[str, tuple[str, ...]] = {
    "swin": (*OURS, "NNCF", "NNCF, one scale a weight", "NNCF, `model_type` transformer"),
    "text_direction": ("`mixed`", "NNCF"),
    "convolutions": ("`mixed`", "NNCF", "NNCF, ranked by outputs"),
    "encoder": ("`mixed`", "NNCF", "NNCF, `model_type` transformer", "NNCF, ranked by outputs"),
}
COLUMNS = (
    "model",
    "search",
    "evaluations",
    "of them to rank",
    "seconds",
    "of them timing",
    "layers kept",
    "operations",
    "FP32",
    "drop, whole",
    "drop, mix",
    "at most",
    "speed-up, whole",
    "speed-up, mix",
)
CONFIDENCE = 0.95
UNOBSERVED = {"CI": "true"}
"""With this variable OpenVINO's packages send no telemetry, and leave nothing of it in the user's home."""


def ours(case: Case, folder: Path, changes: dict[str, Any]) -> dict[str, Any]:
    """One release, from an empty home to its verdict, and what its model answers to all samples."""
    home, config = folder / "home", folder / "release.yaml"
    home.mkdir()
    raw = yaml.safe_load(case.path.read_text(encoding="utf-8"))
    config.write_text(yaml.safe_dump(raw | {"quantization": raw["quantization"] | changes}), encoding="utf-8")
    command = [str(Path(sys.executable).with_name("paddle-int8")), "release", str(config), "--json"]
    started = time.monotonic()
    with (folder / "out.json").open("wb") as out, (folder / "err.txt").open("wb") as err:
        environment = os.environ | {"PADDLE_INT8_HOME": str(home)}
        ended = subprocess.run(command, stdout=out, stderr=err, env=environment, check=False)
    seconds = time.monotonic() - started
    if ended.returncode not in (0, 3, 4):
        raise RuntimeError((folder / "err.txt").read_text(encoding="utf-8"))
    release, right = json.loads((folder / "out.json").read_bytes()), folder / "right.npz"
    models = {"fp32": Path(release["model"]["folder"]), "final": Path(release["bundle"]["folder"])}
    batch = case.config.validation.accuracy_batch_size
    case.isolated(write_right, models, case.array("inputs"), case.array("labels"), batch, right)
    return summarised(release) | answered(right) | {"seconds": seconds, "timing_seconds": timing_s(home)}


def summarised(release: dict[str, Any]) -> dict[str, Any]:
    """What a release's document says of its search.

    Each candidate was evaluated on the samples of the search, and the chosen one on the other samples too.
    FP32 was evaluated once on both.
    """
    candidates = release["candidates"]
    whole = [each for each in candidates if not each["candidate"]["overrides"]]
    (final,) = (each for each in candidates if each["candidate"] == release["chosen"])
    base = next(each for each in whole if _base(each) == _base(final))
    parts = {each["per_isa"][0]["metrics"][0]["samples"] for each in candidates}
    seen, unseen = min(parts), release["validation"]["samples"]
    ratios = {"whole": base, "final": final}
    return {
        "outcome": release["outcome"],
        "candidates": len(candidates),
        "evaluations": 1 + (len(candidates) * seen + unseen) / (seen + unseen),
        "ranked": 0.0,
        "kept": len(release["chosen"]["overrides"]),
        "kept_in": " and ".join(sorted({precision for _, precision in release["chosen"]["overrides"]})),
        "names": [tensor for tensor, _ in release["chosen"]["overrides"]],
        "layers": base["per_isa"][0]["audit"]["int8_primitives"],
        "whole_drop_pp": base["per_isa"][0]["metrics"][0]["drop_pp"],
        "unseen_drop_pp": final["per_isa"][0]["metrics"][0]["drop_pp"],
        "unseen_upper_pp": final["per_isa"][0]["metrics"][0]["drop_upper_pp"],
        "speedup": {name: each["per_isa"][0]["latency"]["speedup"]["ratio"] for name, each in ratios.items()},
    }


def _base(evidence: dict[str, Any]) -> tuple[str, str]:
    return evidence["candidate"]["algorithm"], evidence["candidate"]["layout"]


def timing_s(home: Path) -> float:
    """The seconds in which the release timed models. NNCF's search times none."""
    (log,) = home.glob("logs/*/steps.jsonl")
    steps = map(json.loads, log.read_text(encoding="utf-8").splitlines())
    return sum(float(each["ended"] - each["started"]) for each in steps if each["step"].startswith("time "))


def answered(path: Path) -> dict[str, Any]:
    """The accuracy of FP32 on all samples, the drop of the mix, and what that drop is at most.

    The bound holds for a mix that was chosen without a look at these samples.
    """
    right = np.load(path)
    found = metric_evidence(
        "top1", right["fp32"].astype(float), right["final"].astype(float), confidence=CONFIDENCE
    )
    return {"fp32": found.baseline, "drop_pp": found.drop_pp, "upper_pp": found.drop_upper_pp}


def theirs(case: Case, folder: Path, changes: dict[str, bool], environment: Path) -> dict[str, Any]:
    """One search of NNCF, in its environment."""
    config = case.config
    request = {
        "model": str(case.readable),
        **{name: str(case.array(name)) for name in ("calibration", "inputs", "labels")},
        "max_drop": config.gate.max_drop_pp / 100,
        "batch": config.validation.accuracy_batch_size,
        "speed_batch": config.validation.batch_size,
        "repeats": config.validation.repeats,
        **dict.fromkeys(("transformer", "one_scale", "by_outputs"), False),
        **changes,
    }
    (folder / "request.json").write_text(json.dumps(request, indent=1), encoding="utf-8")
    command = [str(environment / "bin" / "python"), str(NNCF), str(folder / "request.json")]
    with (folder / "log").open("wb") as log, measuring():
        command += [str(folder / "found.json")]
        subprocess.run(command, stdout=log, stderr=log, env=os.environ | UNOBSERVED, check=True)
    found = json.loads((folder / "found.json").read_bytes())
    total, accuracy, ms = len(np.load(case.array("labels"))), found["accuracy"], found["medians_ms"]
    ranked = found["ranked_samples"] / total
    return answered(folder / "right.npz") | {
        "evaluations": found["evaluations"] + ranked,
        "ranked": ranked,
        "seconds": found["seconds"],
        "timing_seconds": 0.0,
        "kept": found["layers"][0],
        "kept_in": "fp32" if found["layers"][0] else "",
        "layers": found["layers"][1],
        "operations": found["operations"],
        "names": found["reverted"],
        "whole_drop_pp": 100 * (accuracy["fp32"] - accuracy["whole"]),
        "speedup": {name: ms["fp32"] / ms[name] for name in ("whole", "final")},
    }


def searched(case: Case, way: str, environment: Path, *, again: bool) -> dict[str, Any]:
    """The result of one search, from its file where there is one."""
    name = "".join(each if each.isalnum() else "-" for each in way.lower()).strip("-")
    folder = case.folder / "searches" / name
    path = folder / "result.json"
    if again or not path.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        if way in OURS:
            result = ours(case, folder, OURS[way])
        else:
            result = theirs(case, folder, THEIRS[way], environment)
        path.write_text(json.dumps(result, indent=1), encoding="utf-8")
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found


def row(case: str, way: str, found: dict[str, Any]) -> str:
    operations = found.get("operations", [0, 0])
    cells = (
        case,
        way,
        f"{found['evaluations']:.1f}",
        f"{found['ranked']:.1f}",
        f"{found['seconds']:.0f}",
        f"{found['timing_seconds']:.0f}",
        f"{found['kept']} of {found['layers']} {found.get('kept_in', '').upper()}".strip(),
        "{} of {}".format(*operations) if operations[1] else "",
        f"{100 * found['fp32']:.2f} %",
        f"{found['whole_drop_pp']:.2f}",
        f"{found['drop_pp']:.2f}",
        f"{found['upper_pp']:.2f}",
        f"{found['speedup']['whole']:.2f}x",
        f"{found['speedup']['final']:.2f}x",
    )
    return f"| {' | '.join(cells)} |"


def rows(options: argparse.Namespace) -> Iterator[str]:
    yield f"| {' | '.join(COLUMNS)} |"
    yield f"{'|---' * len(COLUMNS)}|"
    for name in options.cases:
        case = prepared(name, options.out)
        for way in ASKED[name.partition("-")[0]]:
            yield row(name, way, searched(case, way, options.environment, again=options.again))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES)
    parser.add_argument("--environment", type=Path, default=Path(".envs/nncf"), help="that of NNCF")
    parser.add_argument("--out", type=Path, default=Path("var/accuracy_control"))
    parser.add_argument("--again", action="store_true", help="search anew; models and samples are kept")
    for line in rows(parser.parse_args()):
        print(line, flush=True)  # noqa: T201 - a program's output


if __name__ == "__main__":
    main()
