"""What the CPU that runs the tests can do, read without a process of its own."""

from __future__ import annotations

from pathlib import Path

from paddle_int8.tasks.hardware.cpuinfo import parse_cpuinfo
from paddle_int8.tasks.hardware.levels import VNNI, isa_level

ISA = isa_level(frozenset(parse_cpuinfo(Path("/proc/cpuinfo").read_text(encoding="utf-8")).flags))
SATURATES = ISA not in VNNI
"""Whether sums of 8-bit products saturate, so that INT8 is coarser than the simulation."""
EXACT = ("offline_7bit",) if SATURATES else ("offline", "qdq")
"""The layouts of PaddleSlim's algorithms in which no sum saturates on this CPU."""
