"""What a GPU computes against the definition in float64; ``python -m benchmarks.gpu`` runs this on one.

Without a GPU the same tests run on the CPU, so that they work when they meet one. The variable
LM_PLUGINS_TEST_DEVICE names the device.
"""

import os
from collections.abc import Callable, Iterator

import pytest
import torch
from fairseq.models import build_model
from torch import Tensor

from lm_plugins.criterions.lm_cross_entropy import LMCrossEntropy
from lm_plugins.modules.adaptive_softmax import AdaptiveSoftmax
from lm_plugins.modules.softmax import Softmax
from lm_plugins.ops.fo_pooling import fo_pooling
from lm_plugins.ops.linear_cross_entropy import linear_cross_entropy
from lm_plugins.ops.lstm import lstm
from lm_plugins.ops.resets import Resets
from lm_plugins.tasks.cuda_graphs import GraphedSteps
from tests.helpers.models import TINY, Task, config
from tests.helpers.recording import rerun

DEVICE = os.environ.get("LM_PLUGINS_TEST_DEVICE", "cuda" if torch.cuda.is_available() else "cpu")


def large(sizes: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return the sizes of a published model for a GPU, and none for a CPU, which takes minutes."""
    return [sizes] if DEVICE == "cuda" else []


def compared(
    function: Callable[..., tuple[Tensor, ...]],
    naive: Callable[..., tuple[Tensor, ...]],
    *inputs: Tensor,
    tolerance: float = 2e-4,
) -> None:
    """Assert that outputs and gradients of `function` in float32 are those of `naive` in float64 on a CPU."""
    results = []
    for compute, device, dtype in ((function, DEVICE, torch.float32), (naive, "cpu", torch.float64)):
        leaves = [x.detach().to(device, dtype).requires_grad_() for x in inputs]
        outputs = compute(*leaves)
        total = sum(out.double().square().sum() for out in outputs)
        grads = torch.autograd.grad(total, leaves)
        results.append([x.detach().cpu().double() for x in (*outputs, *grads)])
    torch.testing.assert_close(*results, rtol=tolerance, atol=tolerance)


@pytest.fixture(autouse=True)
def full_float32() -> Iterator[None]:
    """Turn TF32 off, which cuDNN's LSTM uses by default."""
    with torch.backends.cudnn.flags(allow_tf32=False):
        yield


@pytest.mark.parametrize("shape", [(1, 1, 1), (7, 3, 129), *large((70, 20, 1550))])
@pytest.mark.parametrize("resets", [False, True])
def test_pooling(shape: tuple[int, int, int], resets: bool) -> None:
    steps, streams, units = shape
    gates, c0 = torch.randn(steps, streams, 3 * units), torch.randn(streams, units)
    reset = torch.rand(steps, streams) < 0.2 if resets else None

    def on_device(gates: Tensor, c0: Tensor) -> tuple[Tensor, ...]:
        return fo_pooling(gates * 1, c0, 0.9, None if reset is None else reset.to(DEVICE), overwrite=True)

    compared(on_device, lambda gates, c0: fo_pooling(gates, c0, 0.9, reset, impl="naive"), gates, c0)


@pytest.mark.skipif(DEVICE != "cuda", reason="the kernels for GPUs")
def test_the_pooling_uses_triton() -> None:
    from lm_plugins.ops.fo_pooling.self_test import triton_kernels

    assert triton_kernels() is not None


@pytest.mark.parametrize("sizes", [(5, 3, 4, 6), *large((70, 20, 400, 1150))])
@pytest.mark.parametrize("resets", [False, True])
def test_lstm(sizes: tuple[int, int, int, int], resets: bool) -> None:
    steps, streams, inputs, units = sizes
    shapes = (4 * units, inputs), (4 * units, units), (4 * units,), (4 * units,)
    weights = [torch.randn(shape) * 0.05 for shape in shapes]
    x, h, c = torch.randn(steps, streams, inputs), torch.randn(streams, units), torch.randn(streams, units)
    mask = torch.rand(steps, streams) < 0.2

    def layer(impl: str) -> Callable[..., tuple[Tensor, ...]]:
        def compute(x: Tensor, h: Tensor, c: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
            reset = Resets(mask.to(x.device)) if resets else None
            y, (h, c) = lstm(x, (h, c), weights, reset=reset, impl=impl)
            return y, h, c

        return compute

    compared(layer("torch"), layer("naive"), x, h, c, *weights, tolerance=2e-3)


@pytest.mark.skipif(DEVICE != "cuda", reason="cuDNN's buffer of weights")
def test_cudnn_gets_its_weights_in_one_buffer() -> None:
    from lm_plugins.ops.cudnn_lstm import layout_is_known

    for inputs, units in (400, 1150), (1150, 1150), (3, 5):
        assert layout_is_known(inputs, units, torch.float32, torch.device("cuda", 0))


@pytest.mark.parametrize("words, rows", [(11, 5), *large((10_000, 300))])
def test_cross_entropy(words: int, rows: int) -> None:
    features, weight, bias = torch.randn(rows, 40), torch.randn(words, 40) * 0.1, torch.randn(words) * 0.1
    target = torch.randint(words, (rows,))

    def loss(impl: str | None) -> Callable[..., tuple[Tensor, ...]]:
        def compute(*leaves: Tensor) -> tuple[Tensor, ...]:
            nll = linear_cross_entropy(*leaves, target.to(leaves[0].device), ignore_index=3, impl=impl)
            return (nll.sum() / 30,)

        return compute

    compared(loss(None), loss("naive"), features, weight, bias, tolerance=2e-3)


@pytest.mark.parametrize("make", [Softmax, AdaptiveSoftmax])
def test_heads(make: type) -> None:
    torch.manual_seed(2)
    head = make(16, 50, padding_idx=1, **({"cutoffs": [20, 35]} if make is AdaptiveSoftmax else {})).double()
    features, target = torch.randn(6, 4, 16).double(), torch.randint(2, 50, (6, 4))
    expected = -head.log_prob(features).gather(2, target.unsqueeze(2)).squeeze(2)
    head = head.float().to(DEVICE)
    facts = head.host_facts(target.numpy())
    nll = head.nll(features.float().to(DEVICE), target.to(DEVICE), **facts)
    torch.testing.assert_close(nll.cpu().double(), expected, rtol=1e-4, atol=1e-4)


def losses(graphs: GraphedSteps | None, arch: str, *more: str) -> list[float]:
    """Return the losses of a small training run without dropout, over windows of two lengths."""
    torch.manual_seed(3)
    flags = [f"--{name}-dropout=0" for name in ("input", "embedding", "hidden", "weight")]
    task = Task(60)
    model = build_model(config(arch, *TINY, *flags, "--dropout=0", *more), task).to(DEVICE).train()
    criterion = LMCrossEntropy(task, ar_alpha=2.0, tar_beta=1.0, sentence_avg=False, output_l2=0.0)
    optimizer, out = torch.optim.SGD(model.parameters(), lr=0.1), []
    text = torch.randint(4, 60, (2, 3, 9), generator=torch.Generator().manual_seed(5)).to(DEVICE)
    for step, length in enumerate([5, 9, 5, 9, 9, 5]):
        source, target = text[..., :length].contiguous()
        window = {"src_tokens": source, "target": target, "stream": "train", "step": step}
        sample = {"net_input": window, "target": target, "ntokens": source.numel()}
        sample |= {"full": True, "nsentences": 3}
        optimizer.zero_grad()
        replayed = graphs and graphs.step(model, criterion, sample)
        if not replayed:
            loss, _, _ = replayed = criterion(model, sample)
            loss.backward()
        for p in model.parameters():
            p.grad.mul_(0.5)  # in place, as optimizers do
        optimizer.step()
        out.append(float(replayed[0].detach()))
    return out


GRAPHED = {
    "qrnn": ("qrnn_ptb",),
    "lstm": ("awd_lstm_ptb",),
    "mixture": ("awd_lstm_mos_ptb",),
    "simple rnn": ("simple_rnn",),
    "gru": ("awd_gru",),
    "cifg": ("cifg",),
    "projection": ("awd_lstm", "--memory-cells=20"),
    "factors": ("awd_lstm", "--lstm-rank=2"),
    "layer norm": ("awd_lstm", "--layer-norm"),
}


@pytest.mark.filterwarnings("ignore:LSTM with projections")  # of oneDNN
@pytest.mark.parametrize("name", GRAPHED)
def test_graphs_give_the_losses_of_usual_steps(name: str) -> None:
    graphs = GraphedSteps() if DEVICE == "cuda" else GraphedSteps(rerun, has_room=lambda: True)
    assert losses(graphs, *GRAPHED[name]) == pytest.approx(losses(None, *GRAPHED[name]), rel=1e-5)
    assert len(graphs.graphs) == 2
