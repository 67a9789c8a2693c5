import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lib import randomness

MASK = (1 << 64) - 1


def splitmix64(state: int, count: int) -> list[int]:
    """Steele, Lea and Flood's generator in Python's own integers."""
    out = []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        out.append(z ^ (z >> 31))
    return out


def test_published_values():
    # The first outputs of SplitMix64 from seed 1234567, as the algorithm's test vectors give them.
    assert splitmix64(1234567, 2) == [6457827717110365317, 3203168211198807973]


@given(st.integers(-(1 << 63), (1 << 63) - 1), st.integers(0, 5))
def test_bits_are_splitmix64_from_the_stream_s_key(seed, stream):
    ours = [value & MASK for value in randomness.bits(torch.tensor([seed]), stream, 4)[0].tolist()]
    gamma = 0x9E3779B97F4A7C15

    def mix(z):
        return splitmix64((z - gamma) & MASK, 1)[0]

    key = mix((seed + mix((stream + 1) * gamma & MASK)) & MASK)
    assert ours == splitmix64(key, 4)


@given(st.lists(st.integers(-(1 << 63), (1 << 63) - 1), min_size=1, max_size=40))
def test_a_cpu_mixes_as_a_gpu_does(numbers):
    """With unsigned numbers of NumPy and with signed ones of torch."""
    assert randomness._mixed(np.array(numbers)).tolist() == randomness.mix(torch.tensor(numbers)).tolist()


@given(st.integers(1, 20), st.integers(0, 19))
def test_image_does_not_depend_on_its_batch(count, position):
    seeds = randomness.derive(3, torch.arange(20))
    for field in (randomness.uniform, randomness.normal):
        batch = field(seeds[:count], (2, 16))
        if position < count:
            assert torch.equal(batch[position], field(seeds[position : position + 1], (2, 16))[0])


def test_batches_may_be_cut_anywhere():
    one, two = torch.Generator().manual_seed(5), torch.Generator().manual_seed(5)
    cut = torch.cat((randomness.image_seeds(3, two), randomness.image_seeds(5, two)))
    assert torch.equal(randomness.image_seeds(8, one), cut)


def test_distributions():
    seeds = randomness.derive(0, torch.arange(200))
    uniform = randomness.uniform(seeds, (500,)).flatten().numpy()
    normal = randomness.normal(seeds, (500,)).flatten().numpy()
    assert uniform.min() >= 0 and uniform.max() < 1
    assert stats.kstest(uniform, "uniform").pvalue > 1e-3
    assert stats.kstest(normal, "norm").pvalue > 1e-3
    whole = randomness.integers(seeds, -2, 3, (500,)).flatten().numpy()
    assert stats.chisquare(np.unique(whole, return_counts=True)[1]).pvalue > 1e-3
    assert set(whole) == {-2, -1, 0, 1, 2}


def test_streams_and_seeds_are_uncorrelated():
    seeds = randomness.derive(0, torch.arange(100))
    fields = [randomness.normal(seeds, (1000,), stream).flatten() for stream in range(3)]
    fields.append(randomness.normal(randomness.derive(1, torch.arange(100)), (1000,)).flatten())
    fields.append(randomness.normal(seeds.roll(1), (1000,)).flatten())
    correlation = np.corrcoef(torch.stack(fields).numpy()) - np.eye(5)
    assert np.abs(correlation).max() < 4 / np.sqrt(100_000)


def test_seed_of_tells_tuples_apart():
    seeds = {randomness.seed_of(a, b) for a in range(20) for b in range(20)} | {
        randomness.seed_of(a) for a in range(20)
    }
    assert len(seeds) == 420 and min(seeds) >= 0
