"""Many runs on a small cluster of Ray on this machine, whose nodes are killed every few seconds.

python -m benchmarks.clusters --runs 40 --nodes 3 --every 20

All runs must end, each once in the store, with the weights of the same runs one after the other. Needs the extra
`cluster`. Nodes that are killed are replaced, as a cluster does; their workers begin anew, which is what takes time.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import numpy as np
import torch

from lib import paths
from lib.errors import BadInput
from lib.runs import RunConfig, compute, store
from lib.training import Training

NAME = "toy"


def configs(runs: int, epochs: int) -> list[RunConfig]:
    training = Training(epochs=epochs, batch_size=32, precision="fp32")
    return [RunConfig(NAME, "simclr", "resnet10_narrow", seed, None, training) for seed in range(runs)]


def write_images(folder: Path) -> None:
    """A data set that every process reads in a moment."""
    pixels = np.random.default_rng(0).integers(256, size=(150, 16, 16, 3), dtype=np.uint8)
    np.savez(folder / f"{NAME}.npz", images=pixels, labels=np.arange(150) % 2, test=np.arange(150) >= 110)


def weights(records: list[dict]) -> dict[int, bytes]:
    """Of each seed."""
    homes = {record["config"]["seed"]: store.folder(record["key"]) for record in records}
    return {seed: (home / "weights.safetensors").read_bytes() for seed, home in homes.items()}


def storm(wanted: list[RunConfig], count: int, every: float, seed: int) -> list[dict]:
    """Records of all runs on a cluster whose head has no core and whose `count` nodes have one each.

    One node after the other is taken away without a word to it, and another one comes.
    """
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    nodes, draw = [cluster.add_node(num_cpus=1) for _ in range(count)], random.Random(seed)
    ray.init(cluster.address, log_to_driver=False)
    try:
        with ThreadPoolExecutor(1) as beside:  # Ray begins a node in the main thread only
            computed = beside.submit(compute, wanted, [], engine="ray", progress=False)
            while not wait([computed], timeout=every).done:
                cluster.remove_node(nodes.pop(draw.randrange(len(nodes))), allow_graceful=False)
                nodes.append(cluster.add_node(num_cpus=1))
                print(f"{time.strftime('%X')}: a node was killed", flush=True)
            return computed.result()[0]
    finally:
        ray.shutdown()
        cluster.shutdown()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.clusters", description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--every", type=float, default=20.0, metavar="SECONDS", help="a node is killed")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    os.environ |= {"OMP_NUM_THREADS": "1", "RAY_AUTH_MODE": "disabled", "RAY_agent_register_timeout_ms": "100000"}
    wanted = configs(arguments.runs, arguments.epochs)
    with tempfile.TemporaryDirectory() as folder:
        write_images(Path(folder))
        os.environ |= {"WITHSTAND_DATA": folder, "WITHSTAND_RUNS": f"{folder}/serial"}
        started = time.monotonic()
        expected = weights(compute(wanted, [], progress=False)[0])
        print(f"{len(expected)} runs one after the other: {time.monotonic() - started:.0f} s", flush=True)
        os.environ["WITHSTAND_RUNS"], started = f"{folder}/runs", time.monotonic()
        try:
            found = weights(storm(wanted, arguments.nodes, arguments.every, arguments.seed))
        except BadInput as error:
            print(error, file=sys.stderr)
            return 2
        stored = len(list(paths.runs().glob("*/record.json")))
        print(f"{len(found)} runs on a cluster, {stored} in its store: {time.monotonic() - started:.0f} s")
        print("the same to the bit" if found == expected else "other weights")
        return 0 if found == expected and stored == len(wanted) else 1


if __name__ == "__main__":
    sys.exit(main())
