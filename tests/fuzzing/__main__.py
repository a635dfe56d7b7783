"""Draws random graphs, checks them, and records what was found. It continues where it was stopped.

python -m tests.fuzzing --graphs 10000 --out var/fuzz
python -m tests.fuzzing --reduce 4711 --out var/fuzz
"""

from __future__ import annotations

import os

os.environ.update({"OMP_NUM_THREADS": "1", "GLOG_minloglevel": "2"})  # before Paddle

import argparse
import json
import sys
import warnings
from functools import partial
from multiprocessing import Process
from pathlib import Path

import numpy  # noqa: F401 - before paddle, whose zlib symbols crash it otherwise

RESULTS = "results-{}.jsonl"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzzing", description="The differential fuzzer.")
    parser.add_argument("--graphs", type=int, default=200, help="how many")
    parser.add_argument("--seed", type=int, default=0, help="of the first graph; the others count on from it")
    parser.add_argument("--most", type=int, default=30, help="operators of the largest graph")
    parser.add_argument("--out", type=Path, default=Path("var/fuzz"), help="folder of the results")
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time")
    parser.add_argument("--given", action="store_true", help="check graphs as JSON lines from standard input")
    parser.add_argument("--without", default="", help="leave this rewrite out, to see that it is needed")
    parser.add_argument("--fp32-only", action="store_true", help="leave INT8 out")
    parser.add_argument(
        "--reduce",
        type=int,
        nargs="*",
        metavar="SEED",
        help="smallest graphs that fail as these do; of every failure without a seed",
    )
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    arguments.out.mkdir(parents=True, exist_ok=True)
    import paddle

    paddle.enable_static()
    if arguments.reduce is not None:
        reduce_all(arguments)
        return
    if arguments.given:
        check_given(arguments)
        return
    jobs = [Process(target=work, args=(arguments, job)) for job in range(arguments.jobs)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    report(arguments.out)


def check_given(arguments: argparse.Namespace) -> None:
    """Prints a result for each graph, as a JSON line."""
    from paddle_int8.tasks.engines.paddle.rewrites import repairs
    from tests.fuzzing.graphs import from_json
    from tests.fuzzing.processes import check_one

    repairs.REWRITES = tuple(one for one in repairs.REWRITES if one.name != arguments.without)
    for line in sys.stdin:
        print(json.dumps(check_one(from_json(line), int8=not arguments.fp32_only)))  # noqa: T201


def work(arguments: argparse.Namespace, job: int) -> None:
    """Every graph whose seed falls to this job and that has no result yet."""
    from tests.fuzzing.generator import draw
    from tests.fuzzing.processes import check_all

    done = {result["seed"] for result in read(arguments.out)}
    seeds = range(arguments.seed + job, arguments.seed + arguments.graphs, arguments.jobs)
    left = [seed for seed in seeds if seed not in done]
    with (arguments.out / RESULTS.format(job)).open("a", encoding="utf-8") as stream:
        for result in check_all(
            [partial(draw, seed, arguments.most) for seed in left], int8=not arguments.fp32_only
        ):
            stream.write(json.dumps(result) + "\n")
            stream.flush()


def read(folder: Path) -> list[dict]:
    lines = [line for path in folder.glob(RESULTS.format("*")) for line in path.read_text().splitlines()]
    return sorted((json.loads(line) for line in lines), key=lambda result: result["seed"])


def report(folder: Path) -> None:
    from tests.fuzzing.summary import summary

    text = summary(read(folder))
    (folder / "summary.txt").write_text(text, encoding="utf-8")
    print(text)  # noqa: T201 - a command line's answer


def reduce_all(arguments: argparse.Namespace) -> None:
    """Prints each smallest graph, and adds it to `reduced.txt`."""
    from tests.fuzzing.generator import draw
    from tests.fuzzing.reduction import reduced

    failed = [result["seed"] for result in read(arguments.out) if result["findings"]]
    for seed in arguments.reduce or failed:
        graph, findings = reduced(draw(seed, arguments.most), int8=not arguments.fp32_only)
        text = "\n".join([str(graph), *findings, ""])
        print(text, flush=True)  # noqa: T201 - a command line's answer
        with (arguments.out / "reduced.txt").open("a", encoding="utf-8") as stream:
            stream.write(text + "\n")


if __name__ == "__main__":
    main()
