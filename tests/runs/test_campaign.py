"""Campaigns of toy studies: what is missing and what comes first, what is trained once, and what survives."""

import dataclasses
import math
import os
import random
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import torch
from toys import OfFeatures

from benchmarks import kills
from lib import images, paths, stopping
from lib.chapters import campaign as command
from lib.errors import BadInput
from lib.measures.rows import CLEAN, as_rows, number
from lib.precision import precision_on
from lib.runs import PRESETS, Plan, Study, campaign, engine, publish, published, store, times
from lib.runs import __main__ as entrance
from lib.runs.systems import RANDOM, SIMCLR, SUPERVISED, System

SEEDS = (0, 1, 2, 3)


class Toy(OfFeatures):
    def rows(self, subject):
        if self.name == "absent":
            return as_rows([])
        if self.name == "signalling":
            signal.raise_signal(signal.SIGTERM)
        if self.name == "broken" and len(subject.split("test").labels):
            raise BadInput("no more images")
        value = self.value(subject)
        return as_rows([number(CLEAN, f"{self.name} distance", value, 20, standard_error=0.5)])


def plan(name, systems, *measures):
    methods = tuple(dict.fromkeys(system.method for system in systems.values()))
    made = [Toy(measure) for measure in measures]
    return Plan(name, methods, methods, lambda preset: made, systems=systems, systems_in_class=tuple(systems))


BYOL = System("BYOL", "byol", None, "", role="sweep")
MOCO = System("MoCo", "moco_v2", None, "")
ONE = plan("one", {"random": RANDOM, "simclr": SIMCLR, "byol": BYOL, "moco": MOCO}, "near", "far")
OTHER = plan("other", {"supervised": SUPERVISED, "simclr": SIMCLR}, "far", "deep")
PLANS = {"one": ONE, "other": OTHER}


@pytest.fixture(autouse=True)
def tiny(monkeypatch, tmp_path, tmp_path_factory):
    """A preset of seconds on scenes that are rendered once for all of these tests, and nothing published."""
    monkeypatch.setenv("WITHSTAND_CACHE", str(tmp_path_factory.getbasetemp() / "campaign-scenes"))
    monkeypatch.setattr(images, "SCENES_BLOCK", 64)
    monkeypatch.setattr(images, "SCENES_SIZE", {"train": 64, "validation": 40, "test": 40})
    tiny = dataclasses.replace(PRESETS["quick"], train_images=64, batch_size=32, seeds=SEEDS, passes=2, views=2)
    monkeypatch.setitem(PRESETS, "quick", tiny)
    monkeypatch.setattr(paths, "RESULTS", tmp_path / "results")
    images._whole.cache_clear()
    published.forget()
    yield
    published.forget()
    images._whole.cache_clear()


def asked(name, system, seed):
    """What a study wants to know of one run."""
    (one,) = [one for one in Study(PLANS[name], "quick").wanted() if (one.system, one.config.seed) == (system, seed)]
    return one


def put(name, system, seed, without=(), **more):
    """Publish a made-up run of a study."""
    one = asked(name, system, seed)
    key = one.config.key("0" * 64)
    lines = [
        (key, measure.identity, "none", "", np.nan, "", "distance", 1.0, 0.5, 20)
        for measure in one.measures
        if measure.name not in without
    ]
    data = {"source": "made up", "checksum": "0" * 64, "train_images": 64}
    record = {"key": key, "config": one.config.to_dict(), "protocols": one.config.protocols(), "data": data} | more
    rows = pd.DataFrame(lines, columns=list(store.PUBLISHED_COLUMNS))
    assert campaign.study.add(PLANS[name], "quick", record, rows, one.system)
    return record


def order(**options):
    """The systems of the jobs with their seeds, and the studies that lack them."""
    found = campaign.jobs(PLANS, "quick", **options)
    return [(next(iter(job.wanted.values())).system, job.config.seed, job.missing) for job in found]


def shortened(found):
    """ "simclr 012", in the order of the jobs."""
    words = []
    for system, seed, _ in found:
        if words and words[-1].split()[0] == system:
            words[-1] += str(seed)
        else:
            words.append(f"{system} {seed}")
    return words


def test_shared_runs_come_first_then_three_seeds_then_roles_then_later_seeds():
    assert shortened(order()) == [
        "simclr 0123", "random 012", "moco 012", "supervised 012", "byol 012",
        "random 3", "moco 3", "supervised 3", "byol 3",
    ]  # fmt: skip
    assert all(missing == ("one", "other") for system, _, missing in order() if system == "simclr")


def test_claims_come_before_roles_and_what_completes_a_system_before_claims():
    uses = {campaign.family(asked("one", system, 0).config): count for system, count in (("byol", 3), ("moco", 1))}
    assert shortened(order(uses=uses))[1:5] == ["byol 012", "moco 012", "random 012", "supervised 012"]
    put("one", "random", 0)
    put("one", "random", 2)
    assert shortened(order(uses=uses))[:3] == ["simclr 0123", "random 1", "byol 012"]


def test_what_is_older_or_lacks_a_measure_is_missing_and_what_had_no_rows_is_not():
    put("other", "supervised", 0)
    put("other", "supervised", 1, without=["deep"])
    put("other", "supervised", 2, without=["deep"], empty=["deep"])
    put("other", "supervised", 3, protocols={"method": 0})
    assert shortened(one for one in order() if one[0] == "supervised") == ["supervised 13"]


def test_a_shared_run_is_trained_once_and_each_page_has_its_measures(monkeypatch):
    # Other numbers, in another arithmetic, which give way to those of one training.
    put("one", "simclr", 0, precision="of another machine")
    todo = [job for job in campaign.jobs(PLANS, "quick") if job.title == "SimCLR, seed 0"]
    assert [(job.missing, [measure.name for measure in job.measures]) for job in todo] == [
        (("other",), ["near", "far", "deep"])
    ]
    trainings = []
    true = engine.fit
    monkeypatch.setattr(engine, "fit", lambda *given, **named: trainings.append(given) or true(*given, **named))
    said = []
    assert campaign.work(PLANS, "quick", todo, say=said.append) == []
    assert len(trainings) == 1 and said[0].startswith("SimCLR, seed 0: ")
    assert said[0].endswith("published in one, other")
    published.forget()
    pages = {
        name: Study(own, "quick", systems=["simclr"], seeds=[0]).results() for name, own in PLANS.items()
    }  # from what is published: nothing is computed
    assert len(trainings) == 1
    (one,), (other,) = (page.records for page in pages.values())
    assert one["key"] == other["key"] and one["seconds"] == other["seconds"]
    far = [page.rows.query("metric == 'far distance'")["value"].item() for page in pages.values()]
    assert far[0] == far[1] != 1.0
    assert [sorted(page.rows["metric"]) for page in pages.values()] == [
        ["far distance", "near distance"], ["deep distance", "far distance"]
    ]  # fmt: skip
    assert published.arithmetic(one) == (precision_on(torch.device("cpu")), "cpu")
    assert set(one["measuring"]) == {"near(images=20)#1", "far(images=20)#1"}
    assert not [job for job in campaign.jobs(PLANS, "quick") if job.title == "SimCLR, seed 0"]
    known = times.known()
    assert campaign.seconds(todo, known)[0][0] == 0.0  # its weights are here
    assert known.measured(todo[0].config, "deep(images=20)#1") == other["measuring"]["deep(images=20)#1"]


def test_the_limit_leaves_a_checkpoint_and_the_next_call_goes_on(monkeypatch):
    todo = campaign.jobs({"one": ONE}, "quick")[:2]
    assert campaign.work(PLANS, "quick", todo, time_limit=0, say=print) == todo and not list(paths.runs().glob("*"))
    now = engine.time.monotonic()
    ticks = iter([now, now, *[now + 1] * 2])  # the limit is reached when training begins
    monkeypatch.setattr(campaign.time, "monotonic", lambda: next(ticks, now + 100))
    assert campaign.work(PLANS, "quick", todo, time_limit=50, say=print) == todo
    assert len(list(paths.runs().glob("*/checkpoint.pt"))) == 1 and not paths.RESULTS.exists()
    monkeypatch.undo()


def test_a_run_that_fails_holds_up_no_other():
    broken = plan("broken", {"random": RANDOM, "supervised": SUPERVISED}, "near")
    systems = {"random": RANDOM}
    plans = {"bad": plan("bad", systems, "broken"), "absent": plan("absent", {"moco": MOCO}, "absent"), "good": broken}
    todo = [job for job in campaign.jobs(plans, "quick") if job.config.seed == 0 and job.config.method != "supervised"]
    assert [list(job.wanted) for job in todo] == [["bad", "good"], ["absent"]]
    later = [job for job in campaign.jobs({"good": broken}, "quick") if job.title == "Random weights, seed 1"]
    said = []
    assert campaign.work(plans, "quick", [*todo, *later], say=said.append) == todo[:1]
    assert said[0] == "Random weights, seed 0: failed (no more images)"
    assert said[1].endswith("no measure has rows, nothing is published")
    assert said[2].endswith("published in good")


def test_a_run_that_another_process_is_at_is_passed_over():
    (job, *_) = campaign.jobs({"one": ONE}, "quick")
    with campaign._claimed(job) as mine:
        assert mine
        said = []
        assert campaign.work(PLANS, "quick", [job], say=said.append) == [job]
        assert said == [f"{job.title}: another process is at it"]


def test_a_run_that_was_published_meanwhile_is_not_computed(monkeypatch):
    (job, *_) = campaign.jobs({"one": ONE}, "quick")
    monkeypatch.setattr(engine, "compute_one", None)
    put("one", next(iter(job.wanted.values())).system, job.config.seed)
    assert campaign.work({"one": ONE}, "quick", [job]) == []


def test_killed_while_it_publishes_each_study_has_all_of_a_run_or_nothing():
    """By SIGKILL before each file in turn; a call after that publishes what is missing."""
    (job,) = [job for job in campaign.jobs(PLANS, "quick") if job.title == "SimCLR, seed 1"]
    key = job.config.key("0" * 64)
    data = {"source": "made up", "checksum": "0" * 64, "train_images": 64}
    record = {"key": key, "config": job.config.to_dict(), "protocols": job.config.protocols(), "data": data}
    lines = [(key, own.identity, "none", "", np.nan, "", "distance", 1.0, 0.5, 20) for own in job.measures]
    rows = pd.DataFrame(lines, columns=list(store.PUBLISHED_COLUMNS))
    seen = []
    for step in range(20):
        if not (child := os.fork()):
            left = [step]

            def replace(*given, true=os.replace, left=left):
                left[0] -= 1
                if left[0] < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                true(*given)

            os.replace = replace
            campaign.publish(job, PLANS, "quick", record, rows)
            os._exit(0)
        whole = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        published.forget()
        found = [store.read_published(paths.RESULTS / name / "quick")[1] for name in PLANS]
        assert all(len(own) in (0, 2) for own in found)
        lacking = [name for name, own in zip(PLANS, found, strict=True) if own.empty]
        left_over = [one for one in campaign.jobs(PLANS, "quick") if one.title == job.title]
        assert lacking == [name for one in left_over for name in one.missing]
        seen.append(len(lacking))
        if whole:
            break
    assert seen[0] == 2 and seen[-1] == 0 and set(seen) == {0, 1, 2}


def test_seconds_by_hand():
    """A hundred passes of SimCLR took 50 s and of BYOL 90 s here; elsewhere everything takes twice as long."""
    config = asked("one", "simclr", 0).config
    here = (engine.device_name(torch.device("cpu")), precision_on(torch.device("cpu")))
    rates = {("simclr", "resnet10_narrow", *here): 0.5, ("resnet10_narrow", *here): 0.7, ("resnet10_narrow",): 1.0}
    known = times.Times(rates, {("far(images=20)#1", "resnet10_narrow"): 30.0}, {("scenes", 64): 70})
    work = config.training.epochs * 64 * 2  # two views of two batches of 32: six images are left over
    assert times.passes_of(config, 70) == work
    assert known.training(config) == pytest.approx(0.5 * work)
    byol = asked("one", "byol", 0).config
    assert known.training(byol) == pytest.approx(0.7 * times.passes_of(byol, 70))
    wide = dataclasses.replace(config, encoder="resnet10")
    more = times.operations("resnet10") / times.operations("resnet10_narrow")
    assert 3 < more < 4.1 and known.training(wide) == pytest.approx(0.7 * work * more)
    assert math.isnan(times.Times({}, {}, {("scenes", 64): 70}).training(config))
    job = campaign.Job(config, {"one": asked("one", "simclr", 0)}, ("one",), (0,) * 7)
    again = dataclasses.replace(job, config=byol)
    assert campaign.seconds([job, again, job], known) == [
        (pytest.approx(0.5 * work), 30.0, 1), (pytest.approx(0.7 * times.passes_of(byol, 70)), 30.0, 1), (0.0, 30.0, 1)
    ]  # fmt: skip
    minutes = (0.5 * work + 0.7 * times.passes_of(byol, 70) + 90) / 60
    assert campaign.left_in_words([job, again, job], known) == (
        f"3 runs are left, about {minutes:.0f} minutes here; 3 measures were never timed and are not counted"
    )
    assert campaign.left_in_words([], known) == "nothing is left"
    assert "without 1 of encoders that no run was timed with" in campaign.left_in_words([job], times.Times({}))


def test_passes_are_those_of_records(monkeypatch):
    """Of every published run whose record says how many it took."""
    monkeypatch.setattr(paths, "RESULTS", paths.ROOT / "results")
    published.forget()
    told = [record for record in published.records() if "passes" in record]
    assert len(told) > 50
    for record in told:
        config = campaign.RunConfig.from_dict(record["config"])
        assert round(times.passes_of(config, record["data"]["train_images"])) == record["passes"], config


def test_the_command_plans_works_and_says_what_is_left(monkeypatch, capsys):
    small = {"one": plan("one", {"random": RANDOM}, "near")}
    monkeypatch.setattr(command, "PLANS", small)
    monkeypatch.setattr(command, "uses", dict)
    assert command.main(["--preset", "quick", "--plan"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("4 runs are left, ") and "Random weights, seed 3" in told and not paths.RESULTS.exists()
    assert command.main(["--preset", "quick", "--studies", '["one"]']) == 0
    told = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in told[1:5]] == [f"Random weights, seed {seed}" for seed in SEEDS]
    assert told[-1] == "nothing is left" and len(store.parts(paths.RESULTS / "one" / "quick")) == 4


@pytest.mark.parametrize(("words", "sentence"), [
    (["--preset", "smal"], f"unknown preset 'smal' (did you mean 'small'?); allowed: {', '.join(PRESETS)}"),
    (["--studies", '["method"]'], "unknown study 'method' (did you mean 'methods'?)"),
    (["--studies", "methods"], "studies is a list such as"),
    (["--time-limit", "soon"], "the time limit, in seconds is a number above 0, not soon"),
    (["--time-limit", "-5"], "the time limit, in seconds is a number above 0, not -5"),
    (["--threads", "0"], "the number of threads is a number above 0, not 0"),
    (["--threads", "1.5"], "the number of threads is a whole number, not 1.5"),
])  # fmt: skip
def test_bad_words_are_one_sentence(words, sentence, capsys):
    assert command.main(words) == 2
    told = capsys.readouterr().err
    assert told.startswith(sentence) and told.count("\n") == 1


def test_claims_tell_which_runs_are_used():
    """Of a made-up chapter: a claim on two systems counts once for each, whatever its contrasts."""
    from lib.chapters.asked import _uses
    from lib.contrasts import of_two
    from lib.verdicts import Claim

    for system in ("random", "moco", "byol"):
        for seed in SEEDS:
            put("one", system, seed)
    results = Study(ONE, "quick", systems=["random", "moco", "byol"]).results()

    def between(*pairs):
        def contrasts(rows):
            return {f"{one} {two}": of_two(rows, {"system": one}, {"system": two}) for one, two in pairs}

        return Claim("made-up", "", "", contrasts)

    claims = (between(("moco", "random")), between(("moco", "random"), ("moco", "byol"), ("byol", "moco")))
    found = list(_uses(claims, "methods", results))
    expected = {"random": 2, "moco": 2, "byol": 1}
    assert {system: found.count(campaign.family(asked("one", system, 0).config)) for system in expected} == expected
    assert len(found) == sum(expected.values())


def test_publishing_a_whole_study_replaces_what_was_added():
    for system in ("random", "moco"):
        for seed in SEEDS:
            put("one", system, seed)
    home = paths.RESULTS / "one" / "quick"
    before = store.read_published(home)
    publish(ONE, Study(ONE, "quick", systems=["random", "moco"]).results())
    published.forget()
    assert not store.parts(home)
    after = store.read_published(home)
    pd.testing.assert_frame_equal(after[1], before[1])
    assert after[0] == before[0]


def test_the_rooms_own_command_folds_and_hands_other_words_on(monkeypatch, capsys):
    put("one", "random", 0)
    put("one", "random", 1)
    monkeypatch.setattr(sys, "argv", ["lib.runs", "fold"])
    assert entrance.main() == 0 and capsys.readouterr().out == "one/quick: folded 2 parts\n"
    assert entrance.main() == 0 and capsys.readouterr().out == ""
    monkeypatch.setattr(sys, "argv", ["lib.runs", "campaign", "--preset", "smal"])
    with pytest.raises(SystemExit) as stopped:
        entrance.main()
    assert stopped.value.code == 2 and capsys.readouterr().err.startswith("unknown preset 'smal'")


def test_a_signal_ends_a_campaign_with_a_code_that_means_again(monkeypatch, capsys):
    """What was measured is published or found again; three more calls, of which each does a run, end it."""
    small = {"one": plan("one", {"random": RANDOM}, "signalling")}
    monkeypatch.setattr(command, "PLANS", small)
    monkeypatch.setattr(command, "uses", dict)
    before = [signal.getsignal(one) for one in stopping.SIGNALS]
    codes = []
    while len(codes) < 10:
        codes.append(command.main(["--preset", "quick"]))
        assert [signal.getsignal(one) for one in stopping.SIGNALS] == before and not stopping.asked()
        if campaign.jobs(small, "quick") == []:
            break
    assert codes == [stopping.AGAIN] * 4 and "nothing is left" in capsys.readouterr().out
    assert command.main(["--preset", "quick"]) == 0


def test_so_many_runs_and_no_more(monkeypatch, capsys):
    small = {"one": plan("one", {"random": RANDOM}, "near")}
    monkeypatch.setattr(command, "PLANS", small)
    monkeypatch.setattr(command, "uses", dict)
    assert command.main(["--preset", "quick", "--runs", "1"]) == 0
    assert [job.config.seed for job in campaign.jobs(small, "quick")] == [1, 2, 3]
    assert [one.config.seed for one in campaign.ledger.asked()] != []


def test_several_at_once_on_a_wide_executor():
    """Two at a time, published here, with a run that fails among them, and each by one who is at it alone."""
    plans = {"good": plan("good", {"random": RANDOM}, "near"), "bad": plan("bad", {"moco": MOCO}, "broken")}
    todo = [job for job in campaign.jobs(plans, "quick") if job.config.seed < 2]
    at_once, most = set(), []

    class Two(ThreadPoolExecutor):
        width = 2

        def submit(self, task, *arguments, **options):
            assert threading.current_thread() is threading.main_thread()
            future = super().submit(task, *arguments, **options)
            at_once.add(future)
            future.add_done_callback(at_once.discard)
            most.append(len(at_once))
            return future

    said = []
    with Two(2) as executor:
        left = campaign.work(plans, "quick", todo, say=said.append, executor=executor)
    assert left == [job for job in todo if list(job.wanted) == ["bad"]] and len(left) == 2
    assert max(most) <= 2 and len(most) == 4
    assert sum("published in good" in line for line in said) == 2
    assert sum(line.endswith("failed (no more images)") for line in said) == 2
    assert {(one.config.method, one.failed) for one in campaign.ledger.asked()} == {
        ("random", None), ("moco_v2", "no more images")
    }  # fmt: skip


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system that forks")
def test_kill_9_at_random_moments_loses_nothing(monkeypatch, one_thread):
    """Some of what `benchmarks.kills` does; the seed is in the test's output if it fails."""
    seed = random.SystemRandom().randrange(10**6)
    print("seed", seed)
    monkeypatch.setitem(PRESETS, "quick", dataclasses.replace(PRESETS["quick"], seeds=(0,)))
    places, rounds = kills.storm({"toy": kills.TOY}, 6, seed)
    assert places.total() == 6 and rounds >= 1
