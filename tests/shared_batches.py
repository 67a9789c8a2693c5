"""Trainings of three steps by one, two and four processes: `compute_all` computes them, in a process of its own.

Processes are forked from one that has imported everything and computed nothing (`forked`). Numbers are float64
throughout, losses too, which are in float32 otherwise: what differs then is a mistake and no rounding. What each world
of processes comes to is in `FOLDER/<processes>.pt`: by case the gradients after each step, the history, the checksums
of the views of each step, and the state at the end.
"""

import datetime
import hashlib
import itertools
import os
import socket
import sys
import traceback
import types

import numpy as np
import torch
import torch.distributed as dist
from shorthand import own_set
from toys import Points, small_settings

from lib import on_torchrun, stopping, world
from lib.methods import METHODS, build_method, simclr
from lib.models import ResNet, build_encoder
from lib.runs import RunConfig, compute, store
from lib.training import Attack, OutOfTime, Training, norms, train, trainer

FLOAT = torch.Tensor.float
IMAGES, BATCH = 24, 8  # three steps
LONGEST = datetime.timedelta(minutes=3)  # that one waits for another, which may have failed
RESUMED = ("swav, 12", "dino", "simclr, free", "false_negatives, moco_v2, random, 0.0, 20")
FOUR = ("moco_v2", "dino", "relicv2", "simclr, patch, 2", "acl")
UNGATHERED = ("own images alone", "own statistics alone")


def cases():
    """By name: the method, what differs in its settings, its attack, and whether its encoder has maps."""
    found = {}
    for name, method in METHODS.items():
        if method.encoder is None:  # others come with weights that no step changes
            found[name] = name, {}, Attack("pgd(2)") if method.attacked else None, False
    for name, changes in (
        ("simclr", {"negatives": "patch", "count": 2}), ("byol", {"negatives": "texture"}), ("swav", {"queue": 12}),
        ("relicv2", {"removed": 0.5, "others": 3}), ("supervised", {"crops": "relicv2", "removed": 0.5}),
        ("dsa", {"on": "byol"}), ("dsa", {"regulator": "official"}),
        *(("false_negatives", {"on": on, "dropped": dropped, "start": 0.0} | ({"queue": 20} if on != "simclr" else {}))
          for on in ("simclr", "moco_v2") for dropped in ("likely", "labelled", "random")),
    ):  # fmt: skip
        found[", ".join((name, *map(str, changes.values())))] = name, changes, None, False
    found["samix, maps"] = "samix", {}, None, True
    for name, attack in (
        ("simclr", Attack("free(2)")),
        ("simclr", Attack("pgd(2)", quirk="summed gradients")),
        ("moco_v2", Attack("pgd(2)", views="last", mode="eval")),
    ):  # fmt: skip
        found[f"{name}, {attack.kind}"] = name, {}, attack, False
    return found


def fresh(case):
    name, changes, attack, maps = cases()[case]
    encoder = ResNet((1, 1), 4, stem_stride=2) if maps else Points()
    return build_method(name, encoder, small_settings(name, **changes), 10, Points()), attack


def data():
    images = torch.from_numpy(np.random.default_rng(0).integers(256, size=(IMAGES, 3, 32, 32), dtype=np.uint8))
    return images, torch.arange(IMAGES) % 3


def run(case, checkpoint=None, steps=None):
    """What the case comes to; None where it is cut off, behind so many steps, with a checkpoint."""
    torch.manual_seed(1 + world.rank() * (checkpoint is None))  # the first process's weights are those of all
    method, attack = fresh(case)
    images, labels = data()
    found = {"gradients": [], "views": []}

    def gradients(parameters):
        parameters = list(parameters)
        average(parameters)
        found["gradients"].append(torch.cat([p.grad.flatten() for p in parameters if p.grad is not None]))

    def cut(*given):
        views = true_cut(*given)
        whole = [world.gathered(view).contiguous().numpy().tobytes() for view in views]
        found["views"].append([hashlib.sha256(view).hexdigest() for view in whole])
        return views

    average, true_cut, asked, done = world.average_gradients, trainer.cut, stopping.asked, itertools.count()
    world.average_gradients, trainer.cut = gradients, cut
    # One process, the last, is told of a signal.
    stopping.asked = lambda: next(done) == steps and world.rank() == world.size() - 1
    try:
        plan = Training(1, BATCH, "sgd", learning_rate=0.02, warmup_epochs=0, precision="fp32")
        beside = {"removed": images // 2, "textures": images.flip(3)}
        found["history"] = train(
            method, images, labels, plan, 3, checkpoint, progress=False, attack=attack, beside=beside
        )
    except OutOfTime:
        return None
    finally:
        world.average_gradients, trainer.cut, stopping.asked = average, true_cut, asked
    return found | {"state": dict(method.state_dict())}


def work(folder, processes, names):
    found = {case: run(case) for case in names}
    for case in RESUMED if processes < 4 else ():
        other = 3 - processes
        run(case, folder / f"from {processes} {case}.pt", steps=2)
        if (folder / f"from {other} {case}.pt").exists():
            found[f"{case}, resumed"] = run(case, folder / f"from {other} {case}.pt")
    for case, part in found.items():
        numbers = [x.contiguous().numpy().tobytes() for x in part["state"].values() if isinstance(x, torch.Tensor)]
        own = hashlib.sha256(b"".join(numbers)).hexdigest(), str(part["history"][-1]["loss"])
        assert len(set(world.from_all(own))) == 1, f"{case}: the processes differ"
    if processes == 2:
        found |= ungathered()
    if world.rank() == 0:
        torch.save(found, folder / f"{processes}.pt")


def ungathered():
    """What SimCLR comes to where its loss, or batch norm, is not told of other processes."""
    found = {}
    alone = types.SimpleNamespace(gathered=lambda own, axis=0: own, size=world.size)
    places = (simclr, "gathered", alone.gathered), (norms, "world", alone)
    for part, (module, name, own) in zip(UNGATHERED, places, strict=True):
        true = getattr(module, name)
        setattr(module, name, own)
        found[part] = run("simclr")
        setattr(module, name, true)
    return found


def in_processes(folder, processes, task, *given):
    """`task(folder, processes, *given)` in so many forked ones, which know of each other."""
    children = []
    meeting = folder / f"meeting {processes} {task.__name__} {os.urandom(4).hex()}"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]  # a free one
    for rank in range(processes):
        if (child := os.fork()) == 0:
            status = 1
            try:
                if processes > 1 and task is commanded:
                    names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
                    os.environ |= dict(zip(names, map(str, (rank, rank, processes, "127.0.0.1", port)), strict=True))
                elif processes > 1:
                    dist.init_process_group(
                        "gloo", f"file://{meeting}", rank=rank, world_size=processes, timeout=LONGEST
                    )
                task(folder, processes, *given)
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(status)
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert not any(codes), codes


def commanded(folder, processes):
    """A run of the store by a command, which torchrun starts where there are several processes; in float32."""
    torch.set_default_dtype(torch.float32)
    torch.Tensor.float = FLOAT
    os.environ["WITHSTAND_RUNS"] = str(folder / f"runs {processes}")
    plan = Training(1, 16, "sgd", learning_rate=0.02, warmup_epochs=0, precision="fp32")
    config = RunConfig("mine", "deacl", "resnet10_narrow", 0, None, plan, attack="fgsm")  # it has a teacher

    def command():
        ((record,), _) = compute([config], [], progress=False)
        encoder = build_encoder(config.encoder)
        store.load_weights(record["key"], encoder, torch.device("cpu"))
        told = {name: record[name] for name in ("key", "device")}
        torch.save(told | {"weights": encoder.state_dict()}, folder / f"commanded {processes}.pt")
        return 3

    assert on_torchrun.led(command) == (0 if int(os.environ.get("RANK", 0)) else 3)


def resumed(folder, processes):
    found = torch.load(folder / "1.pt", weights_only=True)
    found |= {f"{case}, resumed": run(case, folder / f"from 2 {case}.pt") for case in RESUMED}
    torch.save(found, folder / "1.pt")


def compute_all(folder):
    torch.set_default_dtype(torch.float64)
    torch.Tensor.float = torch.Tensor.double
    in_processes(folder, 1, work, list(cases()))
    in_processes(folder, 2, work, list(cases()))
    in_processes(folder, 1, resumed)
    in_processes(folder, 4, work, FOUR)
    os.environ |= {"WITHSTAND_DATA": str(own_set(folder / "data", 70, 50)), "WITHSTAND_CACHE": str(folder)}
    in_processes(folder, 1, commanded)
    in_processes(folder, 2, commanded)
