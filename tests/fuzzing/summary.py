"""Summarises a run of the fuzzer on one page."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

SHOWN = 12
"""Seeds of a kind of finding."""


def summary(results: list[dict[str, Any]]) -> str:
    """Counts, times and the seeds of each kind of finding."""
    failed = [result for result in results if result["findings"]]
    refused = Counter(result["refused"].split("\n")[0][:120] for result in results if result["refused"])
    quantized = [result for result in results if result["int8"]]
    seconds: Counter[str] = Counter()
    for result in results:
        seconds.update(result["seconds"])
    kinds = defaultdict(list)
    for result in failed:
        for kind in {kind_of(finding) for finding in result["findings"]}:
            kinds[kind].append(result["seed"])
    stored = sum(bool(result.get("stored")) for result in results)
    lines = [
        f"{len(results)} graphs of {sum(result['operators'] for result in results)} operators: "
        f"{len(failed)} with findings, {sum(refused.values())} refused; {len(quantized)} in INT8",
        *(f"refused {count}: {message}" for message, count in refused.most_common()),
        f"coarser than PaddleSlim's simulation, by what INT8 stores: {stored}",
        f"graphs that failed only beside others: {sum('company' in result for result in results)}",
        *(f"{len(seeds):5} {kind}: {seeds[:SHOWN]}" for kind, seeds in sorted(kinds.items())),
        *(f"{value:8.1f} s {name}" for name, value in seconds.most_common()),
    ]
    return "\n".join(lines)


def kind_of(finding: dict[str, str]) -> str:
    """Check and place; of errors, how they end."""
    if finding["check"] in ("error", "died"):
        return f"{finding['check']} {finding['where']}: {_last_line(finding['detail'])}"
    where = "" if finding["check"] in ("prepare", "onednn", "legacy") else finding["where"]
    return f"{finding['check']} {where}".strip()


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    told = [line for line in lines if "Error: " in line or "Hint:" in line] or lines
    return told[-1][:160] if told else ""
