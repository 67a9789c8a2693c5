"""Every test has its own folders: nothing outside is read or written.

The suite can be run under other conditions, which must not matter to it (`make test OPTIONS="..."` hands them on):

    --precision bf16         what the precision "auto" means on the processor; fp32, or auto (as it finds it)
    --order reversed         another order of the tests; shuffled (the same each time), or written
    OMP_NUM_THREADS=2        threads of each test process
"""

import gc
import inspect
import os
import random
from pathlib import Path

import pytest
import torch
from forked import Forks
from shorthand import own_set

from lib import files, images
from lib.images import scenes

DATA = os.environ.get("WITHSTAND_DATA")


def pytest_addoption(parser):
    parser.addoption("--precision", choices=("auto", "bf16", "fp32"), default="auto", help='what "auto" means')
    parser.addoption("--order", choices=("written", "reversed", "shuffled"), default="written", help="of the tests")


# They keep a core busy for minutes each: begun last, they would leave the others idle.
LONGEST = ("test_quick_book_is_trained_here_and_now", "test_published_book_is_whole")


def pytest_collection_modifyitems(config, items):
    items.sort(key=lambda item: getattr(item, "originalname", None) not in LONGEST)
    if config.getoption("order") == "reversed":
        items.reverse()
    elif config.getoption("order") == "shuffled":
        random.Random(0).shuffle(items)


def pytest_collection_finish(session):
    """What was imported and collected lives to the end: to search it for garbage took a tenth of the suite's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    if any("forks" in item.fixturenames for item in session.items):
        session.config.forks = Forks()  # before any test has computed something


@pytest.fixture(autouse=True, scope="session")
def precision(request):
    """As on a processor with or without bfloat16; `lib.precision` asks for its parts."""
    asked = request.config.getoption("precision")
    with pytest.MonkeyPatch.context() as patch:
        if asked != "auto":
            patch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": asked == "bf16"})
        yield


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("WITHSTAND_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("WITHSTAND_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("WITHSTAND_DATA", raising=False)


@pytest.fixture(autouse=True, scope="session")
def rendered_once(tmp_path_factory):
    """Scenes of the data set, by all that they depend on, for all test processes: every test has a cache of its own,
    and would render them anew. Tests of the renderer itself have imported it by its name, and call the true one."""
    true, home = scenes.render, tmp_path_factory.getbasetemp()
    home = (home.parent if "PYTEST_XDIST_WORKER" in os.environ else home) / "rendered"

    def render(count, *given, **named):
        asked = inspect.signature(true).bind(count, *given, **named)
        asked.apply_defaults()
        path = home / f"{' '.join(map(str, asked.arguments.values()))}.pt"
        if not path.exists():
            found = true(count, *given, **named)
            files.write(path, lambda file: torch.save((found.images, found.masks, found.factors), file))
        return scenes.Scenes(*torch.load(path))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scenes, "render", render)
        yield


@pytest.fixture
def real_cifar10(monkeypatch):
    """The real CIFAR-10, where WITHSTAND_DATA names a folder that holds it; the small files of the tests go without."""
    if not (DATA and Path(DATA, "cifar10.npz").is_file()):
        pytest.skip("no cifar10.npz under WITHSTAND_DATA")
    monkeypatch.setenv("WITHSTAND_DATA", DATA)
    images._whole.cache_clear()


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """The name of a data set of one's own: 50 training and 20 test images of 16 px, two classes."""
    monkeypatch.setenv("WITHSTAND_DATA", str(own_set(tmp_path / "data", 70, 50)))
    images._whole.cache_clear()
    return "mine"


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def short_auto_attack(monkeypatch):
    """The parts of AutoAttack by their authors, but few iterations of FAB and queries of Square, which take most of
    its time and find nothing more on a linear model."""
    package = pytest.importorskip("pyautoattack")
    whole = package.AutoAttack.run_standard_evaluation

    def run(self, *arguments, **options):
        self.fab.n_iter, self.square.n_queries = 10, 100
        return whole(self, *arguments, **options)

    monkeypatch.setattr(package.AutoAttack, "run_standard_evaluation", run)


@pytest.fixture(scope="session")
def forks(request):
    """Processes of a test's own: see `forked`."""
    return request.config.forks


@pytest.fixture
def one_thread(monkeypatch):
    """Here, and in processes that a test starts: one that has a pool of threads and is forked waits for it for ever."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    yield
    torch.set_num_threads(threads)
