"""Opens an INT8 model with Paddle Inference the way it was validated, and runs it.

Needs numpy and paddlepaddle only. This very file is in every bundle as `examples/predict.py`:

    python examples/predict.py                       # predicts example_input.npz, compares, times
    python examples/predict.py --input my_batch.npz  # one array per model input, by name

A server opens it once with `open_bundle`, and any of its threads may call `run`.
Written for every Python from 3.8 to 3.13, on Linux and on Windows, and for Paddle 2.6 and 3.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import logging
import os
import queue
import threading
import time
import weakref
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Sequence, Tuple

import numpy as np  # before Paddle, whose zlib otherwise crashes the interpreter
from numpy.typing import NDArray

if TYPE_CHECKING:
    from paddle import inference

Array = NDArray[Any]
Feed = Dict[str, Array]
Json = Mapping[str, Any]
Batch = Tuple[Feed, "Future[List[Array]]"]
Opening = Tuple[Callable[[], "Predictor"], "Future[Predictor]"]
LENGTHS = ".lengths"
"""A sequence input `x`, [N, longest, ...], comes with `x.lengths`, [N]; what lies beyond is not read."""
GROUP_SEQUENCES, STEPS_APART = 24, 32
"""At most GROUP_SEQUENCES sequences of a batch run together. Groups of one bucket with the same number of
sequences have total lengths that are STEPS_APART or more apart. A group with its fillers has fewer sequences
than that, so that its total length tells the number of its sequences: see `_fillers`."""
UNLIMITED = 1_000_000_000
"""The number of input shapes after which Paddle drops kernels: never, see `Executor`. With 0, kernels would
be looked up without the shape, and a sequence of another length would end the process."""
PRIMITIVES = 20_000
"""How many primitives oneDNN keeps, instead of 1,024; some 5 kB each. It never frees the code of a matrix
kernel (`brgemm`), so that each primitive that has to be made anew takes memory for good."""
FILLED = 0
"""The key of the executor that runs all groups with fillers, whatever their number of sequences."""
PREDICTORS = "PADDLE_INT8_PREDICTORS"
"""The environment variable that says how many batches a served model runs side by side; 1 without it."""
ISA_NAMES = {
    0x1: "sse41",
    0x3: "avx",
    0x7: "avx2",
    0xF: "avx2_vnni",
    0x1F: "avx2_vnni",
    0x27: "avx512_core",
    0x67: "avx512_core_vnni",
    0xE7: "avx512_core_bf16",
    0x1EF: "avx512_core_bf16",
    0xFEF: "avx512_core_amx",
    0x1FEF: "avx512_core_amx",
}
"""Names of oneDNN's `dnnl_cpu_isa_t`, weakest first. A set's bits contain those of every set within it."""
BF16 = next(code for code, name in ISA_NAMES.items() if name == "avx512_core_bf16")

logger = logging.getLogger("paddle_int8.bundle")


def paddle_config(program: Path, params: Path | None, switches: Json, threads: int) -> inference.Config:
    """The `paddle.inference.Config` of a model.

    `params` is None for a model with one file per parameter beside `program`. `switches` is the
    `switches` table of `deployment.json`: every one of them changes speed or results.
    """
    from paddle.inference import Config

    config = Config(str(program), str(params)) if params else Config(str(program.parent))
    config.disable_glog_info()
    if switches["onednn"]:
        _method(config, "enable_mkldnn")()
        _method(config, "set_mkldnn_cache_capacity")(UNLIMITED)
    else:
        _method(config, "disable_mkldnn")()
    if switches["onednn_int8"]:
        _method(config, "enable_mkldnn_int8")()
    config.switch_ir_optim(switches["ir_optim"])
    if switches["memory_optim"]:
        config.enable_memory_optim()
    config.set_cpu_math_library_num_threads(threads)
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(PRIMITIVES))  # read by oneDNN's first run
    if switches["max_isa"]:
        os.environ.setdefault("ONEDNN_MAX_CPU_ISA", switches["max_isa"].upper())  # read by oneDNN's first run
    if switches["onednn_bf16"] or (switches.get("bf16_rest") and onednn_isa() & BF16 == BF16):
        _method(config, "enable_mkldnn_bfloat16")()
    for name in switches["deleted_passes"]:
        for each in (name, name.replace("mkldnn", "onednn")):  # one that is not there is not missed
            config.delete_pass(each)
    for name, successor in switches.get("inserted_passes", ()):  # an early bundle says nothing of them
        passes = config.pass_builder().all_passes()
        if successor in passes:  # not without `onednn_int8`
            config.pass_builder().insert_pass(passes.index(successor), name)
    return config


def _method(config: inference.Config, name: str) -> Callable[..., None]:
    """A method by its name in Paddle 2.6. Paddle 3 writes `onednn` for `mkldnn`."""
    newer = name.replace("mkldnn", "onednn")
    method: Callable[..., None] = getattr(config, newer if hasattr(config, newer) else name)
    return method


def packed(padded_values: Array, lengths: Array) -> Array:
    """[N, longest, ...] to the steps of all sequences one after another, [sum of lengths, ...].

    Raises: ValueError for an empty sequence, on which Paddle's recurrent kernels have no answer.
    """
    if len(lengths) != len(padded_values) or lengths.max(initial=0) > padded_values.shape[1]:
        raise ValueError(f"lengths {lengths.shape} do not fit sequences {padded_values.shape}")
    if lengths.min(initial=1) < 1:
        raise ValueError(f"sequence {int(np.argmin(lengths))} is empty: leave it out of the batch")
    if len(lengths) == 1:  # a fifth of the time of the general way, which counts at batch 1
        return np.ascontiguousarray(padded_values[0, : lengths[0]])
    rows: Array = padded_values[np.arange(padded_values.shape[1]) < lengths[:, None]]
    return rows


def padded(rows: Array, lengths: Array, fill: float = 0) -> Array:
    """The inverse of `packed`: [N, longest, ...], `fill` beyond each length."""
    if len(lengths) == 1:
        return rows[None]
    longest = int(lengths.max(initial=0))
    values = np.full((len(lengths), longest, *rows.shape[1:]), fill, rows.dtype)
    values[np.arange(longest) < lengths[:, None]] = rows
    return values


def offsets(lengths: Array) -> list[int]:
    """Where each sequence begins, and where the last one ends: Paddle's LoD."""
    return [0, *np.cumsum(lengths).tolist()]


class Executor:
    """Runs a program. Each executor keeps the kernels that it has prepared to itself, for its thread alone.

    kept: the number of input shapes for which kernels are kept. A shape beyond them has all kernels dropped,
    in the thread that built them. Paddle's own limit is the process's: there, one predictor's new shape drops
    kernels of another one, in a thread that did not build them, which ruins the heap.
    """

    def __init__(self, predictor: inference.Predictor, kept: int) -> None:
        self._predictor = predictor
        self._kept = kept
        self._shapes: set[tuple[tuple[int, ...], ...]] = set()
        self.input_names: list[str] = list(predictor.get_input_names())
        self.output_names: list[str] = list(predictor.get_output_names())
        self._inputs = self._handles()

    def another(self) -> Executor:
        """A further executor of the same program and weights."""
        return Executor(self._predictor.clone(), self._kept)

    def run(self, feeds: Feed) -> list[tuple[Array, Array | None]]:
        """Each output's values, and of sequences the lengths, with the values one after another."""
        lengths = {name: feeds[name + LENGTHS] for name in self.input_names if name + LENGTHS in feeds}
        values = {
            name: packed(feeds[name], lengths[name]) if name in lengths else np.ascontiguousarray(feeds[name])
            for name in self.input_names
        }
        self._keep(tuple(each.shape for each in values.values()))
        for name, handle in self._inputs.items():
            handle.copy_from_cpu(values[name])
            if name in lengths:
                handle.set_lod([offsets(lengths[name])])
        self._predictor.run()
        handles = [self._predictor.get_output_handle(name) for name in self.output_names]
        return [(handle.copy_to_cpu(), _steps(handle.lod())) for handle in handles]

    def _handles(self) -> dict[str, inference.Tensor]:
        return {name: self._predictor.get_input_handle(name) for name in self.input_names}

    def _keep(self, shape: tuple[tuple[int, ...], ...]) -> None:
        """Drops all kernels when this is one shape too many; a clone has the weights and no kernels."""
        if shape not in self._shapes and len(self._shapes) >= self._kept:
            self._shapes.clear()
            self._predictor = self._predictor.clone()
            self._inputs = self._handles()
        self._shapes.add(shape)


def onednn_isa() -> int:
    """The code of the instruction set that oneDNN uses in this process; 0 where its library does not tell.

    The library is asked once Paddle has loaded it. From then on ONEDNN_MAX_CPU_ISA changes nothing.
    """
    import paddle

    libraries = Path(str(paddle.__file__)).parent / "libs"
    for library in sorted(libraries.glob("*dnn*")):  # libdnnl.so.3, mkldnn.dll
        try:
            return int(ctypes.CDLL(str(library)).dnnl_get_effective_cpu_isa())
        except (OSError, AttributeError):
            continue
    return 0


def other_isa(used: int, validated: Sequence[str]) -> str:
    """What to say of an instruction set that a bundle was not validated on; "" when it was."""
    name = ISA_NAMES.get(used, hex(used)) if used else "an instruction set that it does not tell"
    if name in validated:
        return ""
    within = [each for code, each in ISA_NAMES.items() if used & code == code and each in validated]
    limit = f", or set ONEDNN_MAX_CPU_ISA={within[-1].upper()} before Python starts" if within else ""
    return (
        f"oneDNN uses {name}; this bundle was validated on {', '.join(validated)}. Accuracy and speed may "
        f"differ: validate the model on {name}, see `validation.deploy_isas`{limit}"
    )


def require_validated_isa(deployment: Json) -> None:
    """Warns of an instruction set that the bundle was not validated on.

    Raises: RuntimeError instead, when `deployment.json` says `"strict": true`.
    """
    said = other_isa(onednn_isa(), [each["isa"] for each in deployment["validated_on"]])
    if said and deployment.get("strict"):
        raise RuntimeError(f"this bundle is strict and does not open here: {said}")
    if said:
        logger.warning("%s", said)


class Predictor:
    """A loaded model, for the thread that opened it: see `SharedPredictor` for others.

    length_buckets: longest sequence of each bucket, ascending, from 8 steps. A batch is run bucket by bucket,
    see `filled`; a sequence that is alone in its bucket, or longer than all, is run as it is.

    Paddle looks prepared kernels up by the sum of the sequences' lengths, and some by the longest length too.
    With kernels for another number of sequences it dies or answers wrongly. So each number of sequences has
    an executor of its own. Groups with fillers share one, since their sum tells their number.
    """

    def __init__(self, executor: Executor, length_buckets: Sequence[int] = ()) -> None:
        self._thread = threading.get_ident()
        self._buckets = list(length_buckets)
        self._executor = executor
        self._executors: dict[int, Executor] = {}
        self.input_names = self._executor.input_names
        self.output_names = self._executor.output_names

    def another(self) -> Predictor:
        """A predictor of the same weights for the thread that calls this, while this one does not run."""
        return Predictor(self._executor.another(), self._buckets)

    def run(self, feeds: Feed) -> list[Array]:
        """One batch: an array per input name, in the model's dtype; the outputs in model order.

        Sequences go in as `LENGTHS` says, and come out as [N, longest, ...], zero beyond their lengths.
        Raises: ValueError for a missing or an empty input; RuntimeError in another thread, and what Paddle
        raises. The next batch is answered all the same.
        """
        if self._thread != threading.get_ident():
            raise RuntimeError(
                "this predictor was opened in another thread, where its kernels have their memory: "
                "use what `open_bundle` returns, which any thread may run"
            )
        self._require_filled(feeds)
        lengths = [feeds[name + LENGTHS] for name in self.input_names if name + LENGTHS in feeds]
        alike = len(lengths) == len(self.input_names) and all(map(np.array_equal, lengths, lengths[1:]))
        if alike and self._buckets and len(lengths[0]) > 1:
            return self._run_in_buckets(feeds, lengths[0])
        executor = self._executor_for(len(lengths[0])) if lengths else self._executor
        return [values if steps is None else padded(values, steps) for values, steps in executor.run(feeds)]

    def _require_filled(self, feeds: Feed) -> None:
        missing = [name for name in self.input_names if name not in feeds]
        if missing:
            takes = ", ".join(self.input_names)
            raise ValueError(f"inputs {', '.join(missing)} are missing; the model takes {takes}")
        for name in self.input_names:
            empty = len(feeds[name]) == 0 if name + LENGTHS in feeds else feeds[name].size == 0
            if empty:
                shape = feeds[name].shape
                raise ValueError(f"input {name} of shape {shape} holds no sample: give at least one")

    def _run_in_buckets(self, feeds: Feed, lengths: Array) -> list[Array]:
        outputs: list[Array] = []
        for rows, fillers in filled(lengths, self._buckets):
            executor = self._executor_for(FILLED if fillers else 1)
            part = executor.run(_with_fillers(feeds, rows, fillers))
            outputs = outputs or [_room(*output, lengths) for output in part]
            for target, (values, steps) in zip(outputs, part):
                if steps is None:
                    target[rows] = values[: len(rows)]
                else:
                    own = padded(values, steps)[: len(rows), : target.shape[1]]
                    target[rows, : own.shape[1]] = own
        return outputs

    def _executor_for(self, sequences: int) -> Executor:
        if sequences not in self._executors:
            self._executors[sequences] = self._executor.another() if self._executors else self._executor
        return self._executors[sequences]


def _steps(lod: list[list[int]]) -> Array | None:
    """Lengths of the sequences of an output; None when it holds none."""
    return np.diff(lod[0]) if lod else None


def _room(values: Array, steps: Array | None, lengths: Array) -> Array:
    """Zeros for one output of the whole batch."""
    longest = () if steps is None else (int(lengths.max()),)
    return np.zeros((len(lengths), *longest, *values.shape[1:]), values.dtype)


def filled(lengths: Array, buckets: Sequence[int]) -> list[tuple[Array, list[int]]]:
    """Which sequences to run together, and the lengths of fillers to run with them.

    Kernels compute as many steps for every sequence as the longest one has, and are built again for each
    shape. So sequences of a bucket run together, and fillers round their number, their longest length and the
    sum of their lengths up to one of few shapes. Sequences don't influence each other: outputs stay what they
    were.
    """
    bucket = np.searchsorted(buckets, lengths)
    groups: list[tuple[Array, list[int]]] = []
    for number in sorted(set(bucket.tolist())):
        rows = np.flatnonzero(bucket == number)
        size = GROUP_SEQUENCES if number < len(buckets) else 1
        for part in np.split(rows, range(size, len(rows), size)):
            groups.append((part, [] if len(part) == 1 else _fillers(lengths[part], buckets[number])))
    return groups


def _fillers(lengths: Array, longest: int) -> list[int]:
    """Lengths of the sequences that run beside a group of a bucket, so that groups have few shapes.

    longest: the most steps of a sequence in this bucket, which the first filler has. The others bring the sum
    of all lengths to where it tells the number of sequences: this number above a multiple of `apart`.

    Example: sequences of 5, 7 and 6 steps, 18 in all, in the bucket of 8; `apart` is 32. One filler has 8
    steps. Five more have one step each and up to 7 further ones, enough for any of 32 sums. That makes 9
    sequences of 18 + 8 + 5 = 31 steps. With 10 more they have 41, 9 above 32. So the five have 8, 4, 1, 1, 1.
    """
    apart = max(longest, STEPS_APART)
    growing = -(-(apart - 1) // (longest - 1))  # fillers enough to take up any missing steps; rounded up
    count = _missing_to_round(len(lengths)) + growing
    sequences, steps = len(lengths) + 1 + count, int(lengths.sum()) + longest + count
    missing = (sequences - steps) % apart
    return [longest, *_shared_out(count + missing, count, longest)]


def _missing_to_round(sequences: int) -> int:
    """How many more make a round number, at most a quarter more: 1 for 9, which makes 10, and 3 for 17."""
    coarse = 1 << max(0, sequences.bit_length() - 3)
    return -sequences % coarse


def _shared_out(steps: int, count: int, longest: int) -> list[int]:
    """`steps` as the sum of `count` lengths from 1 to `longest`: 15 as five up to 8 are 8, 4, 1, 1, 1."""
    lengths: list[int] = []
    for others in reversed(range(count)):
        lengths.append(min(longest, steps - others))  # the others have one step at least
        steps -= lengths[-1]
    return lengths


def _with_fillers(feeds: Feed, rows: Array, fillers: list[int]) -> Feed:
    """The chosen rows of every input, with sequences of zeros behind them."""
    feed: Feed = {}
    for name in [name for name in feeds if name + LENGTHS in feeds]:
        lengths = np.concatenate([feeds[name + LENGTHS][rows], np.array(fillers, np.int64)])
        values = np.zeros((len(lengths), int(lengths.max()), *feeds[name].shape[2:]), feeds[name].dtype)
        given = feeds[name][rows, : values.shape[1]]
        values[: len(rows), : given.shape[1]] = given
        feed.update({name: values, name + LENGTHS: lengths})
    return feed


class SharedPredictor:
    """A loaded model for any number of threads: batches wait for a predictor, which has a thread of its own.

    A lock would not do. oneDNN's kernels work in memory of the thread that built them; in another thread
    recurrent ones fail ("could not execute a primitive"), and others may end the process.

    predictors: how many batches run side by side. They share the weights, but not the prepared kernels.
    Source: `dnnl::scratchpad_mode::library` in oneDNN's documentation; its issue 1385; Paddle's issue 34492.
    """

    def __init__(self, open_predictor: Callable[[], Predictor], predictors: int = 1) -> None:
        self._batches: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        first = self._started(open_predictor)
        self.input_names, self.output_names = first.input_names, first.output_names
        for _ in range(1, predictors):
            self._started(first.another)
        for _ in range(predictors):  # the process takes all with it
            weakref.finalize(self, self._batches.put, None).atexit = False

    def _started(self, open_predictor: Callable[[], Predictor]) -> Predictor:
        """A predictor that answers batches from now on, in a new thread, where it was opened."""
        opened: Future[Predictor] = Future()
        self._thread = threading.Thread(
            target=_serve, args=([(open_predictor, opened)], self._batches), name="predictor", daemon=True
        )
        self._thread.start()
        return opened.result()

    def run(self, feeds: Feed) -> list[Array]:
        """See `Predictor.run`; waits for its turn."""
        if not self._thread.is_alive():
            raise RuntimeError("this predictor was opened before the process forked: open it afterwards")
        answer: Future[list[Array]] = Future()
        self._batches.put((feeds, answer))
        return answer.result()


def _serve(beginning: list[Opening], batches: queue.SimpleQueue[Batch | None]) -> None:
    """Opens, runs and drops a predictor. `batches` holds pairs of feeds and answer, and None at the end.

    beginning: the function that opens it, and the future that receives it. They are taken out of the list, so
    that nothing but this thread keeps the predictor, or the one that it was cloned from.
    """
    open_predictor, opened = beginning.pop()
    try:
        predictor = open_predictor()
        opened.set_result(predictor)
    except BaseException as error:  # noqa: BLE001 - raised where the model is opened
        opened.set_exception(error)
        return
    del open_predictor, opened
    for feeds, answer in iter(batches.get, None):
        try:
            answer.set_result(predictor.run(feeds))
        except BaseException as error:  # noqa: BLE001 - raised where the answer is awaited
            answer.set_exception(error)
        del feeds, answer


def opened(config: inference.Config, switches: Json) -> Predictor:
    """The predictor of a `paddle.inference.Config`, for this thread alone."""
    from paddle.inference import create_predictor

    executor = Executor(create_predictor(config), switches["onednn_cache_capacity"])
    return Predictor(executor, switches["length_buckets"])


def load_bundle(bundle: Path, threads: int | None = None) -> Predictor:
    """The predictor of a bundle, with the switches that it was validated with, for this thread alone.

    Raises: RuntimeError when a strict bundle was not validated on this instruction set.
    """
    deployment = json.loads((bundle / "deployment.json").read_text(encoding="utf-8"))
    model, switches = bundle / "model", deployment["switches"]
    config = paddle_config(
        model / "model.pdmodel", model / "model.pdiparams", switches, threads or deployment["threads"]
    )
    if switches["onednn"]:
        require_validated_isa(deployment)
    return opened(config, switches)


def open_bundle(bundle: Path, threads: int | None = None, predictors: int | None = None) -> SharedPredictor:
    """A predictor as from `load_bundle`, which any number of threads may call.

    predictors: how many batches run side by side; without it, what the variable `PREDICTORS` says.
    """
    import paddle  # noqa: F401 - here, not in the predictor's thread: it keeps modes for who imports it

    count = predictors or int(os.environ.get(PREDICTORS) or 1)
    return SharedPredictor(lambda: load_bundle(bundle, threads), count)


def main() -> None:
    bundle = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description="Predict with this bundle's INT8 model.")
    parser.add_argument("--input", type=Path, default=bundle / "example_input.npz")
    parser.add_argument("--threads", type=int, default=None, help="default: as validated")
    arguments = parser.parse_args()

    predictor = load_bundle(bundle, arguments.threads)
    with np.load(arguments.input) as stored:
        feeds = dict(stored)
    outputs = predictor.run(feeds)  # the first run builds the kernels
    started = time.perf_counter()
    predictor.run(feeds)
    print(f"{(time.perf_counter() - started) * 1e3:.2f} ms")  # noqa: T201 - a command line example
    for name, output in zip(predictor.output_names, outputs):
        print(name, output.dtype, output.shape, output.ravel()[:10])  # noqa: T201
    if arguments.input == bundle / "example_input.npz":
        with np.load(bundle / "example_output.npz") as expected:
            names = predictor.output_names
            same = all(np.array_equal(expected[name], out) for name, out in zip(names, outputs))
        print("equal to the validated output" if same else "DIFFERS from the validated output")  # noqa: T201


if __name__ == "__main__":
    main()
