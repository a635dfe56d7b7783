"""How many samples decide a margin, as `python -m paddle_int8.tasks.gate.sufficiency` prints it."""

from __future__ import annotations

from paddle_int8.tasks.gate.sufficiency import table


def samples(_name: str) -> str:
    heading = (
        "| `max_drop_pp` | when no sample is lost | when the drop is half of the margin |\n|---|---|---|\n"
    )
    return heading + "\n".join(table())
