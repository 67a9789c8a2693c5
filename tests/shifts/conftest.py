import pytest
import torch


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """These tests are many small operations: on a busy machine a team of threads waits more than it works."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
