"""Every fo_pooling against its definition, forward and backward."""

import importlib.util

import pytest
import torch

from lm_plugins.ops import cpu_kernels
from lm_plugins.ops.fo_pooling import cpu, fo_pooling, self_test
from tests.helpers.kernels import needs_compiler

SHAPES = [(1, 1, 1), (1, 3, 33), (7, 1, 5), (13, 2, 33), (2, 2, 515), (3, 0, 4)]  # 515: more than a block
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
installed = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")
IMPLS = [
    "naive",
    "torch",
    "loop",
    pytest.param("cpu", marks=needs_compiler),
    pytest.param("triton", marks=installed),
]


def inputs(shape, zoneout=None, resets=False, dtype=torch.float64):
    """Return the leaves (gates, c0) and the other arguments (f_factor, reset)."""
    steps, streams, units = shape
    gates = torch.randn(steps, streams, 3 * units, dtype=dtype) * 2
    c0 = torch.randn(streams, units, dtype=dtype)
    factor = {None: 1.0, "expected": 0.7, "mask": torch.rand(shape) < 0.7}[zoneout]
    return (gates, c0), (factor, torch.rand(shape[:2]) < 0.3 if resets else None)


def on(impl, tensors):
    device = DEVICE if impl == "triton" else "cpu"
    return [part.to(device) if torch.is_tensor(part) else part for part in tensors]


def run(impl, tensors, options, weights):
    """Outputs and gradients, of both outputs with respect to both inputs."""
    leaves = [tensor.detach().clone().requires_grad_() for tensor in on(impl, tensors)]
    outputs = fo_pooling(*leaves, *on(impl, options), impl=impl)
    total = sum((output * weight.to(output)).sum() for output, weight in zip(outputs, weights, strict=True))
    return [part.detach().cpu() for part in (*outputs, *torch.autograd.grad(total, leaves))]


def weights_like(shape):
    return torch.randn(shape, dtype=torch.float64), torch.randn(shape[1:], dtype=torch.float64)


@pytest.mark.parametrize("impl", IMPLS[1:])
@pytest.mark.parametrize("zoneout", [None, "expected", "mask"])
@pytest.mark.parametrize("shape, resets", [*((shape, False) for shape in SHAPES), ((9, 3, 17), True)])
def test_equals_the_definition_with_gradients(impl, shape, zoneout, resets):
    tensors, options = inputs(shape, zoneout, resets)
    weights = weights_like(shape)
    result, expected = (run(name, tensors, options, weights) for name in (impl, "naive"))
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-13)


def test_the_definition_by_hand():
    z, f, o = torch.tensor([0.5, 0.8, -0.2]), torch.tensor([0.5, 0.25, 0.4]), torch.tensor([0.5, 0.1, 0.9])
    gates = torch.stack([z.atanh(), f.logit(), o.logit()], dim=-1).unsqueeze(1)
    h, c = fo_pooling(gates, torch.tensor([[0.7]]), impl="naive")
    # c: 0.6, 0.65, 0.31
    torch.testing.assert_close(h.flatten(), torch.tensor([0.3, 0.065, 0.279]))
    torch.testing.assert_close(c.flatten(), torch.tensor([0.31]))


@pytest.mark.parametrize("impl", IMPLS)
def test_gradcheck(impl):
    shape = (2, 1, 2) if impl == "triton" else (4, 2, 3)  # interpreted, it takes its time
    tensors, options = inputs(shape, "mask", resets=True)
    leaves = [tensor.requires_grad_() for tensor in on(impl, tensors)]
    options = on(impl, options)
    assert torch.autograd.gradcheck(lambda *leaves: fo_pooling(*leaves, *options, impl=impl), leaves)


@pytest.mark.parametrize("impl", IMPLS)
def test_inputs_and_gradients_that_are_not_contiguous(impl):
    (gates, c0), options = inputs((3, 5, 8), "mask", resets=True)
    weights = weights_like((3, 5, 8))
    turned = [part.mT.contiguous().mT for part in (gates, c0, *options, *weights)]
    assert not any(part.is_contiguous() for part in turned)
    result = run(impl, turned[:2], turned[2:4], turned[4:])
    torch.testing.assert_close(result, run("naive", (gates, c0), options, weights), rtol=0, atol=1e-13)
    expanded = on(impl, [gates, c0])
    expanded[0].requires_grad_()
    h, _ = fo_pooling(*expanded, impl=impl)
    (grad,) = torch.autograd.grad(h.sum(), expanded[0])
    ones = run("naive", (gates, c0), (1.0, None), (torch.ones(3, 5, 8), torch.zeros(5, 8)))
    torch.testing.assert_close(grad.cpu(), ones[2], rtol=0, atol=1e-13)


@pytest.mark.parametrize("impl", IMPLS)
@pytest.mark.parametrize("of_gates, of_state, tolerance", [
    (torch.float32, torch.float32, 3e-6),
    (torch.bfloat16, torch.float32, 3e-2),
    (torch.bfloat16, torch.bfloat16, 1e-1),
])  # fmt: skip
def test_lower_precision(impl, of_gates, of_state, tolerance):
    tensors, options = inputs((20, 3, 17), "mask", resets=True)
    weights = weights_like((20, 3, 17))
    expected = run("naive", tensors, options, weights)
    result = run(impl, [tensors[0].to(of_gates), tensors[1].to(of_state)], options, weights)
    assert [part.dtype for part in result] == [of_state, of_state, of_gates, of_state]
    for one, other in zip(result, expected, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("impl", IMPLS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_gates_saturate_and_nan_stays(impl, dtype):
    gates = torch.tensor([-1e4, -100, -20, -1e-3, 0, 1e-3, 20, 100, 1e4], dtype=dtype)
    gates = torch.cartesian_prod(gates, gates, gates).t().reshape(1, 1, -1)
    c0 = torch.ones(1, gates.size(2) // 3, dtype=dtype)
    weights = weights_like((1, *c0.shape))
    result, expected = (run(name, (gates, c0), (1.0, None), weights) for name in (impl, "naive"))
    torch.testing.assert_close(result, expected, rtol=0, atol=20 * torch.finfo(dtype).eps)
    h, c = fo_pooling(*on(impl, (torch.full_like(gates, torch.nan), c0)), impl=impl)
    assert h.isnan().all() and c.isnan().all()


@pytest.mark.parametrize("impl", IMPLS)
@pytest.mark.parametrize("cut", [0, 1, 4, 8])
def test_a_cut_window_with_its_state_is_the_whole(impl, cut):
    gates, c0 = on(impl, inputs((9, 2, 5))[0])
    first, state = fo_pooling(gates[:cut], c0, impl=impl)
    second, state = fo_pooling(gates[cut:], state, impl=impl)
    whole, last = fo_pooling(gates, c0, impl=impl)
    torch.testing.assert_close(torch.cat([first, second]), whole, rtol=0, atol=0)
    torch.testing.assert_close(state, last, rtol=0, atol=0)


@needs_compiler
def test_threads_share_the_work_without_changing_it():
    tensors, options = inputs((5, 3, 1100), "mask", resets=True)
    weights, threads = weights_like((5, 3, 1100)), torch.get_num_threads()
    results = []
    for number in (1, 2, 5, 100):
        torch.set_num_threads(number)
        results.append(run("cpu", tensors, options, weights))
    torch.set_num_threads(threads)
    for other in results[1:]:
        torch.testing.assert_close(other, results[0], rtol=0, atol=0)


def test_without_a_library_torch_takes_over(monkeypatch):
    monkeypatch.setattr(cpu_kernels, "library", lambda: None)
    tensors, options = inputs((3, 2, 4))
    h, _ = fo_pooling(*tensors, *options)
    torch.testing.assert_close(h, fo_pooling(*tensors, impl="torch")[0], rtol=0, atol=0)
    with pytest.raises(RuntimeError, match="missing or out of date"):
        fo_pooling(*tensors, impl="cpu")


@pytest.mark.parametrize("impl", IMPLS)
@pytest.mark.parametrize("dtype, of_state", [
    (torch.float64, torch.float64),
    (torch.bfloat16, torch.float32),
])  # fmt: skip
def test_gradients_where_the_gates_were(impl, dtype, of_state):
    """`overwrite` changes no number; using overwritten gates again is an error."""
    (gates, c0), options = inputs((6, 3, 17), "mask", resets=True)
    weights = weights_like((6, 3, 17))[0]
    result = []
    for overwrite in (False, True):
        leaf = gates.to(dtype).requires_grad_()
        at = on(impl, [leaf * 1, c0.to(of_state), *options])
        h, _ = fo_pooling(*at, impl=impl, overwrite=overwrite)
        total = (h * weights.to(h)).sum()
        result.append(torch.autograd.grad(total, leaf, retain_graph=True)[0].cpu())
    torch.testing.assert_close(result[1], result[0], rtol=0, atol=0)
    if impl in ("cpu", "triton"):
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            total.backward()


def test_bad_arguments_are_refused():
    (gates, c0), _ = inputs((3, 2, 4))
    with pytest.raises(ValueError, match="impl 'fast'"):
        fo_pooling(gates, c0, impl="fast")
    for wrong in ((gates, c0[:1]), (gates[..., 1:], c0), (gates[0], c0)):
        with pytest.raises(ValueError, match="expects gates"):
            fo_pooling(*wrong)
    with pytest.raises(ValueError, match="as f_factor"):
        fo_pooling(gates, c0, torch.rand(3, 2, 4))
    with pytest.raises(ValueError, match="as reset"):
        fo_pooling(gates, c0, reset=torch.ones(3, 4, dtype=torch.bool))
    with pytest.raises(ValueError, match="one device"):
        fo_pooling(gates, c0.to("meta"))
    with pytest.raises(RuntimeError, match="on a CPU"):
        fo_pooling(gates.to("meta"), c0.to("meta"), impl="cpu")


def test_kernels_that_fail_or_are_wrong_are_detected(caplog):
    class Broken:
        @staticmethod
        def prepare(gates, c0):
            return gates, c0

        @staticmethod
        def forward(gates, c0, mask, factor, reset, save, overwrite):
            raise OSError("no compiler")

    class Wrong(Broken):
        @staticmethod
        def forward(gates, c0, mask, factor, reset, save, overwrite):
            h = gates[..., : c0.size(1)].clone()
            return h, h[-1].clone(), h

        @staticmethod
        def backward(gates, c0, *others):
            others[-1].zero_()
            return torch.zeros_like(c0)

    assert self_test.agrees(cpu, "cpu") or cpu_kernels.library() is None
    for kernels, part in ((Broken, "no compiler"), (Wrong, "not close")):
        assert not self_test.agrees(kernels, "cpu")
        assert part in caplog.text and "falling back to PyTorch" in caplog.text


@needs_compiler
def test_kernels_agree_where_gradients_are_off():
    """Their first use may be in evaluation."""
    with torch.no_grad():
        assert self_test.agrees(cpu, "cpu")


@pytest.mark.parametrize("impl", IMPLS)
@pytest.mark.parametrize("training", [False, True])
def test_the_state_is_not_a_view_of_the_window(impl, training):
    """A view would keep c of all steps in memory, and in checkpoints."""
    gates, c0 = on(impl, inputs((6, 3, 17))[0])
    _, c = fo_pooling(gates.requires_grad_(training), c0, impl=impl)
    assert c.untyped_storage().nbytes() == c.nbytes


class Wrong:
    """Stand in for kernels whose gradient is off by a factor."""

    prepare, forward = staticmethod(cpu.prepare), staticmethod(cpu.forward)

    @staticmethod
    def backward(gates, c0, mask, factor, reset, c, grad_h, grad_last, grad_gates):
        grad_c0 = cpu.backward(gates, c0, mask, factor, reset, c, grad_h, grad_last, grad_gates)
        grad_gates.mul_(1.1)
        return grad_c0


@needs_compiler
@pytest.mark.parametrize("context", [torch.enable_grad, torch.no_grad, torch.inference_mode])
def test_kernels_are_checked_in_evaluation_too(context):
    with context():
        assert self_test.agrees(cpu, "cpu")
        assert not self_test.agrees(Wrong, "cpu")


@needs_compiler
@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("zoneout, resets", [(None, False), ("mask", True)])
def test_gates_in_bfloat16_give_the_same_bits_as_their_conversion(overwrite, zoneout, resets):
    (gates, c0), options = inputs((5, 3, 33), zoneout, resets, torch.float32)
    upstream, results = torch.randn(5, 3, 33), []
    for convert in (False, True):
        leaf, state = gates.bfloat16().requires_grad_(), c0.clone().requires_grad_()
        read = leaf.float() if convert else leaf.clone()
        h, c = fo_pooling(read, state, *options, impl="cpu", overwrite=overwrite)
        results.append(
            [h.detach(), c.detach(), *torch.autograd.grad((h * upstream).sum() + c.sum(), [leaf, state])]
        )
    torch.testing.assert_close(*results, rtol=0, atol=0)
