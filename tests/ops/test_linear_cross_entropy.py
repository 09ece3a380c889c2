"""Loss and gradients in chunks, compared with the definition."""

import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lm_plugins.ops.linear_cross_entropy import linear_cross_entropy
from tests.helpers.kernels import needs_compiler

each_impl = pytest.mark.parametrize("impl", ["torch", pytest.param("cpu", marks=needs_compiler)])
ROWS, COMPONENTS, FEATURES, WORDS = 7, 3, 5, 11
CHUNKS = [1, WORDS, 2 * WORDS + 1, 3 * WORDS, 7 * WORDS, 1 << 22, None]


def inputs(mixture, rows=ROWS):
    def draw(*shape):
        return torch.randn(shape, dtype=torch.float64, requires_grad=True)

    features = draw(rows, COMPONENTS, FEATURES) if mixture else draw(rows, FEATURES)
    prior = draw(rows, COMPONENTS) if mixture else None
    return features, draw(WORDS, FEATURES), draw(WORDS), prior


def run(tensors, target, upstream, **options):
    features, weight, bias, prior = tensors
    log_prior = None if prior is None else torch.log_softmax(prior, 1)
    nll = linear_cross_entropy(features, weight, bias, target, log_prior=log_prior, **options)
    leaves = [tensor for tensor in tensors if tensor is not None]
    return nll, torch.autograd.grad((nll * upstream).sum(), leaves)


class Shapes(TorchDispatchMode):
    """Records the shapes that operations return."""

    def __init__(self):
        super().__init__()
        self.shapes = []

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        out = function(*arguments, **(options or {}))
        self.shapes += [tuple(t.shape) for t in tree_leaves(out) if torch.is_tensor(t)]
        return out


@each_impl
@pytest.mark.parametrize("mixture", [False, True], ids=["softmax", "mixture"])
@pytest.mark.parametrize("chunk", CHUNKS)
@pytest.mark.parametrize("upstream", [1.0, -2.5, "of each row"])
def test_equals_the_definition_with_gradients(impl, mixture, chunk, upstream):
    tensors, target = inputs(mixture), torch.randint(WORDS, (ROWS,))
    weights = torch.randn(ROWS).double() if upstream == "of each row" else upstream
    result = run(tensors, target, weights, impl=impl, chunk=chunk, ignore_index=int(target[2]))
    expected = run(tensors, target, weights, impl="naive", ignore_index=int(target[2]))
    assert result[0][2] == 0
    torch.testing.assert_close(result, expected, rtol=1e-12, atol=1e-12)


@each_impl
def test_without_bias_and_without_rows(impl):
    for rows in (ROWS, 0):
        features, weight, _, _ = inputs(False, rows)
        target = torch.randint(WORDS, (rows,))
        result = linear_cross_entropy(features, weight, None, target, impl=impl)
        expected = linear_cross_entropy(features, weight, None, target, impl="naive")
        torch.testing.assert_close(result, expected)
        gradients = torch.autograd.grad(result.sum(), (features, weight))
        torch.testing.assert_close(gradients, torch.autograd.grad(expected.sum(), (features, weight)))


@pytest.mark.parametrize("mixture", [False, True], ids=["softmax", "mixture"])
def test_rows_that_are_all_ignored_have_no_gradient(mixture):
    tensors, target = inputs(mixture), torch.zeros(ROWS, dtype=torch.long)
    nll, gradients = run(tensors, target, 1.0, ignore_index=0)
    assert nll.eq(0).all() and all(gradient.eq(0).all() for gradient in gradients)


def test_only_the_gradients_that_are_asked_for():
    features, weight, bias, _ = inputs(False)
    target = torch.randint(WORDS, (ROWS,))
    loss = linear_cross_entropy(features, weight.detach(), bias.detach(), target).sum()
    expected = linear_cross_entropy(features, weight, bias, target, impl="naive").sum()
    torch.testing.assert_close(torch.autograd.grad(loss, features), torch.autograd.grad(expected, features))


@each_impl
def test_improbable_words_keep_an_exact_loss(impl):
    """A probability far below the smallest float32: log(p + epsilon) would be cut off."""
    features, weight = torch.tensor([[1.0]]), torch.tensor([[300.0], [0.0]])
    nll = linear_cross_entropy(features, weight, None, torch.tensor([1]), impl=impl)
    assert nll.item() == 300
    both = torch.tensor([[[1.0], [1.0]]])
    prior = torch.log(torch.tensor([[0.25, 0.75]]))
    mixed = linear_cross_entropy(both, weight, None, torch.tensor([1]), log_prior=prior, impl=impl)
    torch.testing.assert_close(mixed, torch.tensor([300.0]))


@pytest.mark.parametrize("mixture", [False, True], ids=["softmax", "mixture"])
def test_autocast_computes_products_in_bfloat16_and_keeps_float32_gradients(mixture):
    tensors = [None if t is None else t.detach().float().requires_grad_() for t in inputs(mixture)]
    target = torch.randint(WORDS, (ROWS,))
    expected = run(tensors, target, 1.0)
    with torch.autocast("cpu", torch.bfloat16):
        result = run(tensors, target, 1.0, chunk=2 * WORDS)
    assert result[0].dtype == torch.float32 and {g.dtype for g in result[1]} == {torch.float32}
    assert not torch.equal(result[1][1], expected[1][1]), "nothing was rounded"
    torch.testing.assert_close(result, expected, rtol=0.05, atol=0.05)


def test_a_large_bias_is_not_rounded_to_bfloat16():
    """The bias starts at -ln V, and bfloat16 represents numbers of that size only to within 0.03."""
    features, weight, target = torch.zeros(1, 4), torch.zeros(3, 4), torch.tensor([0])
    bias = torch.tensor([-9.21, -9.23, -9.19])
    with torch.autocast("cpu", torch.bfloat16):
        result = linear_cross_entropy(features, weight, bias, target)
    torch.testing.assert_close(result, linear_cross_entropy(features, weight, bias, target))


def test_float16_gradients_hold_the_loss_scale():
    """A gradient of 1e-9 is zero in float16, but not after multiplication by the loss scale."""
    features = torch.ones(1, 1, dtype=torch.float16)
    weight = torch.tensor([[20.7], [0.0]], dtype=torch.float16, requires_grad=True)  # p = 1e-9
    loss = linear_cross_entropy(features, weight, None, torch.tensor([0])).sum()
    scaled = torch.autograd.grad(loss * 65536, weight)[0]
    assert scaled[1].item() == pytest.approx(65536 * 1.02e-9, rel=0.05)


@pytest.mark.parametrize("mixture", [False, True], ids=["softmax", "mixture"])
def test_no_more_than_a_chunk_is_held(mixture):
    tensors, target = inputs(mixture, 60), torch.randint(WORDS, (60,))
    with Shapes() as made:
        run(tensors, target, 1.0, chunk=6 * WORDS)
    expected = max(6 * WORDS, *(tensor.numel() for tensor in tensors if tensor is not None))
    rows = 60 * COMPONENTS if mixture else 60
    assert max(map(math.prod, made.shapes)) <= expected < WORDS * rows


@each_impl
def test_single_precision_at_large_sizes(impl):
    """There are more words than the kernels add up at a time, and logits that float32 rounds to zero."""
    features, weight, bias = torch.randn(5, 8), torch.randn(9001, 8) * 4, torch.randn(9001)
    tensors, target = [x.requires_grad_() for x in (features, weight, bias)], torch.randint(9001, (5,))
    exact = run([*(x.detach().double().requires_grad_() for x in tensors), None], target, 1.0, impl="naive")
    result = run([*tensors, None], target, 1.0, impl=impl, chunk=2 * 9001)
    for one, other in zip([result[0], *result[1]], [exact[0], *exact[1]], strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-5, atol=1e-6)


@each_impl
@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_nan_and_infinity_are_not_hidden(impl, bad):
    features, weight, bias, _ = inputs(False)
    with torch.no_grad():
        features[1, 0] = bad
    nll = linear_cross_entropy(features, weight, bias, torch.zeros(ROWS, dtype=torch.long), impl=impl)
    assert nll.isnan().tolist() == [row == 1 for row in range(ROWS)]


@needs_compiler
@pytest.mark.parametrize("mixture", [False, True], ids=["softmax", "mixture"])
def test_threads_share_the_work_without_changing_it(mixture):
    tensors, target, threads = inputs(mixture), torch.randint(WORDS, (ROWS,)), torch.get_num_threads()
    results = []
    for number in (1, 2, 5, 100):
        torch.set_num_threads(number)
        results.append(run(tensors, target, 1.0, impl="cpu", chunk=6 * WORDS))
    torch.set_num_threads(threads)
    for other in results[1:]:
        torch.testing.assert_close(other, results[0], rtol=1e-13, atol=1e-13)


@needs_compiler
def test_what_the_kernels_do_not_take_is_refused():
    features, weight, bias, _ = inputs(False)
    for wrong in (bias.half(), bias.float()):
        with pytest.raises(RuntimeError, match="of one dtype, float32 or float64, on a CPU"):
            linear_cross_entropy(features, weight, wrong, torch.zeros(ROWS, dtype=torch.long), impl="cpu")


@each_impl
@pytest.mark.parametrize("mixture", [False, True], ids=["softmax", "mixture"])
@pytest.mark.parametrize("word", [-1, WORDS, 99 * WORDS])
def test_a_target_that_is_not_a_word_is_an_error(impl, mixture, word):
    """The kernels would take the logit of another row for it, or read other memory."""
    (features, weight, bias, prior), target = inputs(mixture), torch.randint(WORDS, (ROWS,))
    target[-1] = word
    with pytest.raises((IndexError, RuntimeError), match=rf"{word} is out of bounds"):
        linear_cross_entropy(features, weight, bias, target, log_prior=prior, impl=impl, chunk=2 * WORDS)


@needs_compiler
def test_a_bias_of_another_length_is_refused():
    features, weight, bias, _ = inputs(False)
    with pytest.raises(ValueError, match=f"{WORDS} words need a bias of this length, not of shape"):
        linear_cross_entropy(features, weight, bias[1:], torch.zeros(ROWS, dtype=torch.long), impl="cpu")


@each_impl
@pytest.mark.parametrize("rows", [ROWS - 1, ROWS + 1])
def test_another_number_of_targets_is_refused(impl, rows):
    features, weight, bias, _ = inputs(False)
    with pytest.raises(ValueError, match=f"{ROWS} rows need a target each, not targets of"):
        linear_cross_entropy(features, weight, bias, torch.zeros(rows, dtype=torch.long), impl=impl)


@each_impl
def test_gradients_in_the_backward_pass_alone(impl):
    tensors, target, upstream = inputs(True), torch.randint(WORDS, (ROWS,)), torch.randn(ROWS).double()
    result = run(tensors, target, upstream, impl=impl, grad_in_forward=False)
    torch.testing.assert_close(result, run(tensors, target, upstream, impl="naive"), rtol=1e-12, atol=1e-12)


@each_impl
@pytest.mark.parametrize("upstream", [1.0, 3.0])
def test_a_second_backward_pass_gives_the_same(impl, upstream):
    features, weight, bias, _ = inputs(False)
    nll = linear_cross_entropy(features, weight, bias, torch.randint(WORDS, (ROWS,)), impl=impl)
    for _ in range(2):
        (nll.sum() * upstream).backward(retain_graph=True)
    twice = [leaf.grad for leaf in (features, weight, bias)]
    once = torch.autograd.grad(nll.sum() * upstream, (features, weight, bias))
    torch.testing.assert_close(twice, [2 * part for part in once], rtol=1e-12, atol=1e-12)


@each_impl
def test_the_gradient_of_the_weight_is_not_copied(impl):
    """It is as large as the weight: autograd uses it as weight.grad if nothing else refers to it."""
    features, weight = torch.randn(3, 64), torch.randn(2000, 64, requires_grad=True)
    nll = linear_cross_entropy(features, weight, None, torch.randint(2000, (3,)), impl=impl)
    with torch.profiler.profile(profile_memory=True) as profile:
        nll.sum().backward()
    allocated = sum(max(event.self_cpu_memory_usage, 0) for event in profile.events())
    assert weight.grad is not None and allocated < weight.nbytes / 10


@each_impl
@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_without_gradients_only_the_logits_are_computed(impl, context):
    """Otherwise evaluation would need two products instead of one, and memory for the gradient of W."""
    features, weight, bias, _ = inputs(False)
    target, products = torch.randint(WORDS, (ROWS,)), []
    for mode in (context, torch.enable_grad):
        with mode(), torch.profiler.profile() as profile:
            linear_cross_entropy(features.detach(), weight, bias, target, impl=impl)
        products.append(sum(event.name in ("aten::mm", "aten::addmm") for event in profile.events()))
    assert products[0] == 1 < products[1]


def test_an_unknown_implementation_is_refused():
    features, weight, bias, _ = inputs(False)
    with pytest.raises(ValueError, match="choose from"):
        linear_cross_entropy(features, weight, bias, torch.zeros(ROWS, dtype=torch.long), impl="fast")
