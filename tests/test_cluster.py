"""Files for clusters: they parse, what they call exists with the words that they give it, and signals are handed on."""

import os
import re
import shlex
import signal
import subprocess
import time
import tomllib
from pathlib import Path

import pytest
import yaml

from lib import engines, stopping
from lib.chapters import campaign
from lib.runs.presets import PRESETS

ROOT = Path(__file__).parent.parent
CLUSTER = ROOT / "cluster"
SCRIPTS = sorted(path for path in CLUSTER.iterdir() if path.suffix in (".sh", ".sbatch"))
COMMAND = re.compile(r"-m lib\.runs campaign\b([^\n#&|`]*)")


def campaigns(text):
    """The words of each campaign that a text calls; a shell's variables with their defaults."""
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text.replace("\\\n", " ").replace('"$@"', ""))
    for found in COMMAND.finditer(text):
        words = found[1].strip()
        yield shlex.split(words[:-1] if words.count('"') % 2 else words)  # one of a command around it


@pytest.mark.parametrize("path", sorted(CLUSTER.iterdir()), ids=lambda path: path.name)
def test_campaigns_that_files_call_are_understood(path):
    found = [campaign.parser().parse_args(words) for words in campaigns(path.read_text())]
    assert found or path.name == "Dockerfile"
    for one in found:
        assert one.preset in PRESETS and engines.named(one.engine) in engines.ENGINES


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_parse(path):
    subprocess.run(["bash", "-n", path], check=True)
    lines = path.read_text().splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    directives = [place for place, line in enumerate(lines) if line.startswith("#SBATCH")]
    commands = [place for place, line in enumerate(lines) if line and not line.startswith("#")]
    assert all(re.fullmatch(r"#SBATCH --[a-z-]+(=\S+)?", lines[place]) for place in directives)
    assert not directives or max(directives) < min(commands)  # what comes later is not read by sbatch
    assert bool(directives) == (path.suffix == ".sbatch")


def test_the_job_of_kuberay_is_whole():
    claim, job = yaml.safe_load_all((CLUSTER / "kuberay-rayjob.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    spec = job["spec"]["rayClusterSpec"]
    groups = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
    pods = [group["template"]["spec"] for group in groups]
    for pod in pods:
        (container,) = pod["containers"]
        (volume,) = pod["volumes"]
        (mount,) = container["volumeMounts"]
        assert (
            volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
            and mount["name"] == volume["name"]
        )
        places = {one["name"]: one["value"] for one in container["env"]}
        assert (
            all(value.startswith(mount["mountPath"] + "/") for value in places.values()) and "WITHSTAND_RUNS" in places
        )
    assert len({pod["containers"][0]["image"] for pod in pods}) == 1
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    assert spec["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    assert all(type(value) is str for group in groups for value in group["rayStartParams"].values())


def test_one_version_of_ray():
    """In the image, in the cluster's description and in the extra."""
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["cluster"]
    (version,) = [re.fullmatch(r"ray\[default\]>=([\d.]+)", one)[1] for one in extra]
    _, job = yaml.safe_load_all((CLUSTER / "kuberay-rayjob.yaml").read_text())
    assert job["spec"]["rayClusterSpec"]["rayVersion"].startswith(version)
    assert f"rayproject/ray:{version}" in (CLUSTER / "Dockerfile").read_text()


def test_the_allocation_calls_ray_as_it_can_be_called():
    ray = pytest.importorskip("ray.scripts.symmetric_run")
    text = (CLUSTER / "slurm-ray.sbatch").read_text().replace("\\\n", " ")
    (line,) = [line for line in text.splitlines() if line.startswith("srun ray symmetric-run ")]
    line = line.replace("$head", "node1").replace("$SLURM_JOB_NUM_NODES", "4")
    own, _, entrypoint = line.removeprefix("srun ray symmetric-run ").partition(" -- ")
    context = ray.symmetric_run.make_context("symmetric-run", [*shlex.split(own), "--", *shlex.split(entrypoint)])
    assert context.params["address"] == "node1:6379" and context.params["min_nodes"] == 4


PYTHON = """#!/usr/bin/env bash
echo "$@" > words
trap 'sleep 0.3; exit 75' USR1
touch begun
if [ "$1" = "-m" ] && [ -f quick ]; then exit "$(cat quick)"; fi
for _ in $(seq 600); do sleep 0.1; done
exit 1
"""


@pytest.fixture
def job(tmp_path):
    """Starts the script of an array's job where `scontrol` is a file that notes its words, and Python one that, as a
    campaign does, takes a moment to save after SIGUSR1 and ends with 75."""
    for name, text in (("python", PYTHON), ("scontrol", '#!/usr/bin/env bash\necho "$@" >> asked\n')):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    ours = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHON": str(tmp_path / "python")}
    ours |= {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "3"}
    return lambda: subprocess.Popen(["bash", CLUSTER / "slurm-array.sbatch"], cwd=tmp_path, env=os.environ | ours)


@pytest.mark.parametrize("one", [signal.SIGUSR1, signal.SIGTERM])
def test_a_job_of_the_array_that_is_to_end_saves_and_asks_for_more_time(job, tmp_path, one):
    running = job()
    while not (tmp_path / "begun").exists():
        time.sleep(0.02)
    running.send_signal(one)
    assert running.wait(timeout=60) == 0
    assert (tmp_path / "asked").read_text() == "requeue 7_3\n"


@pytest.mark.parametrize("code", [0, 2, stopping.AGAIN])
def test_a_job_of_the_array_ends_as_its_run(job, tmp_path, code):
    (tmp_path / "quick").write_text(str(code))
    assert job().wait(timeout=60) == (0 if code == stopping.AGAIN else code)
    assert (tmp_path / "asked").exists() == (code == stopping.AGAIN)


def test_one_node_hands_its_words_on(tmp_path):
    (tmp_path / "python").write_text('#!/usr/bin/env bash\necho "$@"\n')
    (tmp_path / "python").chmod(0o755)
    words = ["bash", str(CLUSTER / "one-node.sh"), "--plan", "--workers", "3"]
    done = subprocess.run(words, env=os.environ | {"PYTHON": str(tmp_path / "python")}, capture_output=True, text=True)
    given = done.stdout.split()
    assert given[:3] == ["-m", "lib.runs", "campaign"] and given[-3:] == words[2:]


@pytest.mark.parametrize(("column", "gpus", "bandwidth", "message"), [(1, 8, 200e9, 0.05e-3), (2, 64, 25e9, 0.1e-3)])
def test_the_model_on_paper_follows_from_its_assumptions(column, gpus, bandwidth, message):
    """1,200 views a second and GPU, two views of 512 images, 25.6 million weights, 53 layers of batch norm."""
    lines = re.findall(r"^\|.*\|$", (ROOT / "pages" / "reproduce.md").read_text(), re.M)
    start = lines.index("| | 8 GPUs | 64 GPUs |")
    told = [float(re.sub(r"[^\d.]", "", line.split("|")[column + 1])) for line in lines[start + 2 : start + 8]]
    views = 2 * 512 / gpus
    compute, gradients, norms = views / 1200, 2 * 4 * 25.6e6 / bandwidth, 2 * 53 * message
    step = compute + gradients + norms
    found = [views, 1e3 * compute, 1e3 * gradients, 1e3 * norms, 100 * compute / step, views / 2 / step]
    assert told == pytest.approx(found, rel=0.01, abs=0.55)
