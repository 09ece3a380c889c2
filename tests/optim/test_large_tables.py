"""Optimizers do with a sparse gradient what they do with a dense one."""

import pytest
import torch

from lm_plugins.errors import Refused
from lm_plugins.optim.nt_asgd import NTASGD, NTASGDConfig
from lm_plugins.optim.sparse_adagrad import SparseAdagrad, SparseAdagradConfig

# torch's Adagrad makes such tensors without saying whether they are to be checked.
pytestmark = pytest.mark.filterwarnings("ignore:Sparse invariant checks are implicitly disabled")


def nt_asgd(params, averaging, weight_decay=0.0):
    return NTASGD(NTASGDConfig(lr=[0.5], averaging=averaging, weight_decay=weight_decay), params)


def adagrad(params, weight_decay=0.0):
    return SparseAdagrad(SparseAdagradConfig(lr=[0.5], weight_decay=weight_decay), params)


def steps(make, sparse, max_norm):
    generator = torch.Generator().manual_seed(1)
    table = torch.nn.Parameter(torch.randn(6, 2, generator=generator))
    vector = torch.nn.Parameter(torch.randn(3, generator=generator))
    optimizer, norms = make([table, vector]), []
    for _ in range(4):
        index = torch.randint(6, (5,), generator=generator)
        rows = torch.randn(5, 2, generator=generator)
        grad = torch.sparse_coo_tensor(index[None], rows, (6, 2), check_invariants=True)
        table.grad = grad if sparse else grad.to_dense()
        vector.grad = torch.randn(3, generator=generator)
        optimizer.multiply_grads(0.5)
        norms.append(optimizer.clip_grad_norm(max_norm))
        optimizer.step()
    return [table.detach(), vector.detach(), *norms]


@pytest.mark.parametrize("max_norm", [0.0, 0.3])
@pytest.mark.parametrize(
    "make",
    [lambda p: nt_asgd(p, "never"), lambda p: nt_asgd(p, "always"), adagrad],
    ids=["sgd", "asgd", "adagrad"],
)
def test_a_sparse_gradient_does_what_a_dense_one_does(make, max_norm):
    sparse, dense = steps(make, True, max_norm), steps(make, False, max_norm)
    for ours, theirs in zip(sparse, dense, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(
    "make", [lambda p, decay: nt_asgd(p, "never", decay), adagrad], ids=["sgd", "adagrad"]
)
def test_weight_decay_is_refused(make):
    with pytest.raises(Refused, match="would change every row"):
        steps(lambda params: make(params, 0.1), True, 0.0)


def test_averaging_never_never_averages():
    optimizer = nt_asgd([torch.nn.Parameter(torch.zeros(1))], "never")
    for loss in range(20):
        optimizer.validated(float(loss))
    assert optimizer.optimizer.averaged is None and not optimizer.finished


def test_all_gradients_may_be_sparse():
    table = torch.nn.Parameter(torch.ones(3, 2))
    optimizer = nt_asgd([table], "never")
    table.grad = torch.sparse_coo_tensor([[1, 1]], torch.ones(2, 2), (3, 2), check_invariants=True)
    optimizer.step()
    assert table.tolist() == [[1, 1], [0, 0], [1, 1]]
