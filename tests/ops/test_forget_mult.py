"""Every forget_mult against its definition, forward and backward."""

import pytest
import torch

from lm_plugins.ops.forget_mult import IMPLEMENTATIONS, forget_mult

SHAPES = [(1, 1, 1), (1, 3, 33), (7, 1, 5), (13, 2, 33)]


def inputs(shape, dtype=torch.float64):
    z = torch.randn(shape, dtype=dtype)
    f = torch.rand(shape, dtype=dtype)
    c0 = torch.randn(shape[1:], dtype=dtype)
    return [tensor.requires_grad_() for tensor in (z, f, c0)]


def run(impl, tensors, weight):
    leaves = [tensor.detach().requires_grad_() for tensor in tensors]
    c = forget_mult(*leaves, impl=impl)
    return c, torch.autograd.grad((c * weight).sum(), leaves)


@pytest.mark.parametrize("impl", sorted(IMPLEMENTATIONS))
@pytest.mark.parametrize("shape", SHAPES)
def test_equals_the_definition_with_gradients(impl, shape):
    tensors, weight = inputs(shape), torch.randn(shape, dtype=torch.float64)
    c, gradients = run(impl, tensors, weight)
    expected, expected_gradients = run("naive", tensors, weight)
    torch.testing.assert_close(c, expected, rtol=0, atol=1e-14)
    torch.testing.assert_close(gradients, expected_gradients, rtol=0, atol=1e-13)


def test_the_definition_by_hand():
    z = torch.tensor([2.0, 4.0, -1.0]).view(3, 1, 1)
    f = torch.tensor([0.5, 0.25, 1.0]).view(3, 1, 1)
    c = forget_mult(z, f, torch.tensor([[6.0]]), impl="naive")
    assert c.flatten().tolist() == [4.0, 4.0, -1.0]


@pytest.mark.parametrize("impl", sorted(IMPLEMENTATIONS))
def test_gradcheck(impl):
    assert torch.autograd.gradcheck(lambda *t: forget_mult(*t, impl=impl), inputs((4, 2, 3)))


@pytest.mark.parametrize("impl", sorted(IMPLEMENTATIONS))
def test_non_contiguous_inputs(impl):
    z, f, c0 = (tensor.detach() for tensor in inputs((3, 5, 8)))
    gates = torch.cat([z, f], dim=-1)
    parts = gates.chunk(2, dim=-1)
    assert not parts[0].is_contiguous()
    torch.testing.assert_close(
        forget_mult(*parts, c0, impl=impl), forget_mult(z, f, c0, impl="naive"), rtol=0, atol=1e-14
    )


@pytest.mark.parametrize("impl", sorted(IMPLEMENTATIONS))
@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-6), (torch.bfloat16, 0.05)])
def test_lower_precision(impl, dtype, tolerance):
    tensors = [tensor.detach() for tensor in inputs((20, 3, 17))]
    c = forget_mult(*(tensor.to(dtype) for tensor in tensors), impl=impl)
    assert c.dtype == dtype
    torch.testing.assert_close(c.double(), forget_mult(*tensors), rtol=0, atol=tolerance)


@pytest.mark.parametrize("impl", sorted(IMPLEMENTATIONS))
@pytest.mark.parametrize("cut", [1, 4, 8])
def test_a_cut_window_with_its_state_is_the_whole(impl, cut):
    z, f, c0 = (tensor.detach() for tensor in inputs((9, 2, 5)))
    first = forget_mult(z[:cut], f[:cut], c0, impl=impl)
    second = forget_mult(z[cut:], f[cut:], first[-1], impl=impl)
    whole = forget_mult(z, f, c0, impl=impl)
    torch.testing.assert_close(torch.cat([first, second]), whole, rtol=0, atol=0)


def test_no_state_is_zeros():
    z, f, c0 = inputs((3, 2, 4))
    assert torch.equal(forget_mult(z, f), forget_mult(z, f, torch.zeros_like(c0)))


def test_bad_arguments_are_refused():
    z, f, c0 = inputs((3, 2, 4))
    with pytest.raises(ValueError, match="impl 'fast'"):
        forget_mult(z, f, c0, impl="fast")
    with pytest.raises(ValueError, match="one shape"):
        forget_mult(z, f[:2], c0)
    with pytest.raises(ValueError, match="one shape"):
        forget_mult(z, f, c0[:1])
