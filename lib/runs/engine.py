"""The engine: takes a list of runs and measures, reads what is there, computes what is missing."""

from __future__ import annotations

import contextlib
import copy
import math
import platform
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, wait
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import torch
from torch import nn

import lib
from lib import bucket, engines, leases, memory, on_torchrun, paths, stopping, world
from lib.engines import InProcess
from lib.errors import BadInput
from lib.images import Split, load
from lib.leases import Lease
from lib.measures import Subject, adversarial_monitor, extract, neighbour_monitor
from lib.measures.outcomes import collected
from lib.methods import METHODS, mixed_of
from lib.models import Fused, build_encoder
from lib.precision import exact_float32, precision_on, repeatable
from lib.progress import bar, bars
from lib.runs import ledger, outcomes, store
from lib.runs.config import RunConfig
from lib.runs.fitting import fit, help_fit, look_through, untrained
from lib.stopping import Stopped
from lib.training import OutOfTime, needs_attack, passes
from lib.views import cost

GO_ON = "nothing is lost, the same call goes on from here"
MONITORED = ("epoch", "seconds", "accuracy", "fgsm accuracy", "pgd accuracy")  # of a run under attack, published


def compute(
    configs: Sequence[RunConfig],
    measures: Sequence | Callable[[RunConfig], Sequence],
    executor: Executor | None = None,
    time_limit: float | None = None,
    progress: bool = True,
    engine: str | None = None,
) -> tuple[list[dict], pd.DataFrame]:
    """Records and rows (with the columns `run`, `measure` and those of a measure) of all `configs`.

    `measures` are the same for all, or a function of the run. Runs go in the order given to `executor`, any with the
    interface of `concurrent.futures`, or to that of an `engine` (see `lib.engines`; in this process by default).
    After `time_limit` seconds it stops at the next step: what is complete stays in the store, what is under way leaves
    a checkpoint, and the same call goes on from there. Raises `lib.stopping.Stopped` where a signal asked for an end.
    """
    deadline = time.monotonic() + time_limit if time_limit else math.inf
    wanted = [(config, measures(config) if callable(measures) else measures) for config in configs]
    for config, own in wanted:
        ledger.ask(config, own)
    futures: list[Future] = []
    done: list[tuple[dict, pd.DataFrame]] = []
    with contextlib.nullcontext(executor) if executor else engines.opened(engine) as executor:
        shown = bar(progress, total=len(configs), unit="run")
        try:
            for config, own in wanted:
                shown.set_description(f"{config.method}, seed {config.seed}")
                futures.append(submitted(executor, config, own, deadline - time.monotonic(), progress))
                futures[-1].add_done_callback(lambda _: shown.update())
                if futures[-1].done() and futures[-1].exception():
                    break
            for future in futures:
                done.append(_result(future, executor))
        except OutOfTime:
            so_far = f"with {len(done)} of {len(configs)} runs complete; {GO_ON}"
            if stopping.asked():
                raise Stopped(f"a signal asked for an end {so_far}") from None
            raise BadInput(f"the time limit of {time_limit:g} s is reached {so_far}") from None
        finally:
            for future in futures:
                future.cancel()
            shown.close()
            outcomes.forget()  # another process may have kept some
            memory.forget()  # test sets as measures have them, perhaps on the GPU
    return [record for record, _ in done], store.join([rows for _, rows in done if len(rows)])


def submitted(
    executor: Executor, config: RunConfig, measures: Sequence, time_limit: float, progress: bool = False
) -> Future:
    """The future of one run, with its record and rows. Only in this process it shows its steps."""
    if isinstance(executor, InProcess):
        return executor.submit(compute_one, config, measures, time_limit, progress)
    return executor.submit(compute_elsewhere, config, measures, time.time() + time_limit)


def _result(future: Future, executor: Executor) -> tuple[dict, pd.DataFrame]:
    """What a future gives, once it is there; meanwhile a signal to this process is handed on, once."""
    told = False
    while not future.done():
        wait([future], timeout=1)
        if stopping.asked() and not told and (stop := getattr(executor, "stop", None)):
            told = True
            stop()
    record, rows = future.result()
    bucket.pull(store.folder(record["key"]))  # what another machine has sent of it
    return record, rows


def compute_elsewhere(config: RunConfig, measures: Sequence, until: float) -> tuple[dict, pd.DataFrame]:
    """`compute_one` in a process that waits for tasks, `until` a time in seconds of the epoch."""
    try:
        return compute_one(config, measures, until - time.time(), progress=False)
    except OutOfTime:
        if stopping.asked():
            raise Stopped(f"a signal asked a worker for an end; {GO_ON}") from None
        raise


def compute_one(
    config: RunConfig, measures: Sequence, time_limit: float = math.inf, progress: bool = True
) -> tuple[dict, pd.DataFrame]:
    """The record and rows of one run: trained if it is not in the store, measured where rows are missing."""
    deadline = time.monotonic() + time_limit
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    ledger.ask(config, measures)
    with ledger.noted(config):
        data = load(config.dataset, "train", config.train_images, device)
        _check_data(config, data, measures)
    key = config.key(data.checksum, device)
    with locked(key) as lease, ledger.under_way(config, key), bars(progress):
        record, encoder = _trained(config, key, data, device, deadline, lease)
        head = _head(config, key, data, device)
        subject = Subject(encoder, config.dataset, config.train_images, config.training.precision, device, head)
        tables = [_rows(key, measure, subject, deadline, lease) for measure in measures]
    return record, store.join(tables)


def _check_data(config: RunConfig, data: Split, measures: Sequence) -> None:
    """Refuse, before anything is trained, data with too few images for a batch or for what is measured then."""
    found = len(data.images)
    asked = f" (train_images is {config.train_images})" if config.train_images else ""
    start = f"the data set {config.dataset} has {found:,} images to train on{asked}"
    if not config.members() and found < config.training.batch_size:
        raise BadInput(
            f"{start}, and a batch needs {config.training.batch_size}; add images, or train in smaller batches"
        )
    needed = max((getattr(measure, "training_images", 0) for measure in measures), default=0)
    if found < needed:
        raise BadInput(f"{start}, and accuracy by nearest neighbours needs {needed}, a neighbour each; add images")


def _trained(
    config: RunConfig, key: str, data: Split, device: torch.device, deadline: float, lease: Lease
) -> tuple[dict, nn.Module]:
    """Record and encoder of a run whose lease is held, from the store or computed now."""
    record = store.load_record(key)
    if record is None:
        compute_now = _fuse if config.members() else _train
        return compute_now(config, key, data, device, deadline, lease)
    members = [build_encoder(config.encoder) for _ in config.members()]
    encoder = Fused(members) if members else build_encoder(config.encoder)
    store.load_weights(key, encoder, device)
    return record, encoder


def _rows(key: str, measure: Any, subject: Subject, deadline: float, lease: Lease) -> pd.DataFrame:
    rows = store.load_rows(key, measure.identity)
    if rows is None:
        if time.monotonic() > deadline or stopping.asked():
            raise OutOfTime
        lease.check()
        rows = measure_now(key, measure, subject)
    return rows.assign(run=key, measure=measure.identity)


def measure_now(
    key: str, measure: Any, subject: Subject, kept: Callable[[pd.DataFrame], pd.DataFrame] = lambda rows: rows
) -> pd.DataFrame:
    """The rows of a measure, of which those that are to be `kept` go to the store under `key`, with their outcomes."""
    started = time.monotonic()
    with exact_float32():  # "fp32" means it, whatever a notebook has switched on
        with collected() as of_images:
            rows = kept(measure.rows(subject))
    outcomes.save(key, measure.identity, of_images)  # first: where rows are, what belongs to them is
    store.save_rows(key, measure.identity, rows)
    store.save_seconds(key, measure.identity, time.monotonic() - started)
    return rows


def _train(
    config: RunConfig, key: str, data: Split, device: torch.device, deadline: float, lease: Lease
) -> tuple[dict, nn.Module]:
    teacher = None
    if (wanted := config.teacher()) is not None:
        own = wanted.key(data.checksum, device)
        with locked(own) as his:  # never the other way round: a teacher knows no student
            _, teacher = _trained(wanted, own, data, device, deadline, his)
    checkpoint = store.folder(key) / "checkpoint.pt"
    watched = data, load(config.dataset, "validation", device=device), config.training.precision
    monitor = adversarial_monitor(*watched, config.attack.epsilon) if config.attack else neighbour_monitor(*watched)
    trained = METHODS[config.method].trained
    look_through(data)
    with repeatable(device) as arithmetic:
        lent = copy.deepcopy(teacher).cpu() if teacher and world.size() > 1 else None  # to no GPU but each its own
        on_torchrun.hand_out(help_fit, config, lent, checkpoint, deadline - time.monotonic(), device.type)
        fitted = fit(config, data, teacher, monitor if trained else None, checkpoint, deadline)
    method, history = fitted.method, fitted.history
    record = {
        "key": key,
        "config": config.to_dict(),
        "protocols": config.protocols(),
        "data": {"source": data.source, "checksum": data.checksum, "train_images": len(data.images)},
        "seconds": round(fitted.seconds, 1),
        "images_per_second": round(history[-1]["images_per_second"], 1),
        "peak_memory_mib": round(max(epoch["peak_memory_mib"] for epoch in history)),
        "device": device_name(device) + (f", {world.size()} processes" if world.size() > 1 else ""),
        "precision": precision_on(device, config.training.precision),
        "processor": processor(),
        **arithmetic,
        "finished": datetime.now(UTC).date().isoformat(),
        "versions": {"withstand": lib.__version__, "torch": torch.__version__, "python": platform.python_version()},
        "commit": commit(),
    }
    if trained:
        record |= _cost(config, method, len(data.images))
    if config.attack:
        record["monitored"] = [{name: epoch[name] for name in MONITORED} for epoch in history]
    lease.check()
    store.save_run(key, fitted.encoder, history, record, getattr(method, "pre_feature", None))
    bucket.remove(checkpoint)
    return record, fitted.encoder


def _cost(config: RunConfig, method: nn.Module, images: int) -> dict:
    """What training took, whatever the machine: steps of the optimiser, and passes of a view (see `passes`)."""
    batches = config.training.epochs * (images // config.training.batch_size)
    views = cost(method.views) + mixed_of(config.method, config.settings)
    each = passes(views, config.attack, needs_attack(method))
    return {
        "updates": batches * (config.attack.replays if config.attack else 1),
        "passes": round(batches * config.training.batch_size * each),
    }


def _head(config: RunConfig, key: str, data: Split, device: torch.device) -> nn.Module | None:
    """What a run kept of its projector, for measures that read there; None where it kept nothing."""
    if not hasattr(METHODS[config.method].build, "pre_feature") or not store.has_head(key):
        return None
    head = untrained(config, data).pre_feature
    store.load_weights(key, head, device, "head")
    return head  # type: ignore[return-value]


def _fuse(
    config: RunConfig, key: str, data: Split, device: torch.device, deadline: float, lease: Lease
) -> tuple[dict, nn.Module]:
    records, encoders = [], []
    for member in config.members():
        own = member.key(data.checksum, device)
        with locked(own) as its:  # never the other way round: a member knows no fusion
            record, encoder = _trained(member, own, data, device, deadline, its)
        records.append(record)
        encoders.append(encoder)
    fused = Fused(encoders).to(device)
    fused.standardise_by(extract(fused, data.images, config.training.precision))
    record = records[0] | {
        "key": key,
        "config": config.to_dict(),
        "protocols": config.protocols(),
        "seconds": round(math.fsum(record["seconds"] for record in records), 1),
        "images_per_second": round(1 / sum(1 / record["images_per_second"] for record in records), 1),
        "peak_memory_mib": max(record["peak_memory_mib"] for record in records),
    }
    lease.check()
    store.save_run(key, fused, [], record)
    return record, fused


@contextlib.contextmanager
def locked(key: str) -> Iterator[Lease]:
    """One process at a time works on a run, here or on another machine that has the store; a second one waits."""
    home = store.folder(key)
    with contextlib.ExitStack() as stack:
        try:
            lease = stack.enter_context(leases.held(home / store.LEASE))
        except OSError as error:
            words = f"no run can be kept in {home} ({error.strerror}); name a folder by WITHSTAND_RUNS"
            raise BadInput(words) from error
        bucket.pull(home, own=True)
        yield lease


def device_name(device: torch.device) -> str:
    """What a record calls the device."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} threads"


def processor() -> str:
    """The kind of processor, and which of its instructions torch computes with: they decide how sums are rounded."""
    name = torch.cpu.get_capabilities().get("cpu_name") or platform.processor() or platform.machine()
    return f"{name}, {torch.backends.cpu.get_cpu_capability()}"


def commit() -> str:
    """The commit of the code that ran, with a plus sign where files of `lib` differ from it."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=paths.ROOT, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        return git("rev-parse", "--short=12", "HEAD") + ("+" if git("status", "--porcelain", "--", "lib") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
