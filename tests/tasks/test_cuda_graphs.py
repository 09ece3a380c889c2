"""Recorded steps give the gradients, losses and states of steps that run as usual.

Here a recording is run again in place of a replay, so that everything but CUDA's own part is tested.
"""

import copy

import pytest
import torch

from lm_plugins.errors import Refused
from lm_plugins.tasks.cuda_graphs import GraphedSteps, as_accumulated, check_graphs
from tests.helpers.models import Task, config
from tests.helpers.recording import rerun, tensors

SIZE, STREAMS, PAD = 13, 3, 1
FLAGS = ("--decoder-embed-dim", "6", "--decoder-hidden-size", "8", "--decoder-layers", "2")


def build(arch, *flags, output_l2=0.0):
    from fairseq.models import build_model

    from lm_plugins.criterions.lm_cross_entropy import LMCrossEntropy

    torch.manual_seed(3)
    task = Task(SIZE)
    model = build_model(config(arch, *FLAGS, *flags), task).double().train()
    criterion = LMCrossEntropy(task, ar_alpha=2.0, tar_beta=1.0, sentence_avg=False, output_l2=output_l2)
    return model, criterion


def windows(lengths, pads=()):
    """Windows of `lengths`; in the n-th one of the numbers `pads`, the first stream lacks n targets."""
    generator = torch.Generator().manual_seed(5)
    for step, length in enumerate(lengths):
        source, target = torch.randint(4, SIZE, (2, STREAMS, length), generator=generator)
        if step in pads:
            target[0, -1 - pads.index(step) :] = PAD
        net_input = {"src_tokens": source, "target": target, "stream": "train", "step": step}
        net_input["host_target"] = target.numpy()
        ntokens = int(target.ne(PAD).sum())
        sizes = {"ntokens": ntokens, "full": ntokens == target.numel(), "nsentences": STREAMS}
        yield {"net_input": net_input, "target": target, **sizes}


def usual(model, criterion, sample):
    loss, size, logged = criterion(model, sample)
    loss.backward()
    return loss.detach(), size, logged


def trained(model, criterion, steps, pads=()):
    results, replayed = [], 0
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for number, sample in enumerate(windows([5, 4, 5, 4, 4, 5, 7, 5], pads)):
        torch.manual_seed(number)  # as fairseq does before each update
        optimizer.zero_grad()
        result = steps and steps.step(model, criterion, sample)
        replayed += result is not None
        loss, size, logged = result or usual(model, criterion, sample)
        results.append([float(loss), size, *(float(logged[name]) for name in sorted(logged))])
        for p in model.parameters():
            p.grad.mul_(10 / size)  # in place, as optimizers do
        optimizer.step()
    return results, replayed


@pytest.mark.parametrize(
    "arch, flags",
    [
        ("awd_lstm_ptb", ()),
        ("awd_lstm", ("--memory-cells", "9", "--candidate-dropout", "0.2")),
        ("awd_lstm", ("--lstm-rank", "2")),
        ("lstm_wt103", ("--layer-norm",)),
        ("awd_gru", ()),
        ("simple_rnn", ()),
        ("qrnn_ptb", ()),
        ("lstm_small", ()),
        ("awd_lstm_mos_ptb", ()),
    ],
)
def test_recorded_steps_train_the_same_model(arch, flags):
    model, criterion = build(arch, *flags)
    other = copy.deepcopy(model)
    expected, _ = trained(model, criterion, None)
    results, replayed = trained(other, criterion, GraphedSteps(rerun, has_room=lambda: True))
    assert replayed == 5  # all but the first window of the stream and of each length
    assert results == expected
    for (name, p), q in zip(model.named_parameters(), other.parameters(), strict=True):
        assert torch.equal(p, q), name


def test_gradients_can_be_changed_in_place():
    a, b, c, unused = (torch.randn(3, requires_grad=True) for _ in range(4))
    total = (a + b).square().sum() + c.sum()  # one gradient for a and b; that of c is one number, expanded
    params = [a, b, c, unused]
    expected = [2 * (a + b).detach(), 2 * (a + b).detach(), torch.ones(3)]
    *gradients, none = as_accumulated(params, torch.autograd.grad(total, params, allow_unused=True))
    assert none is None
    for gradient, right in zip(gradients, expected, strict=True):
        assert torch.equal(gradient.mul_(3), 3 * right)


def test_a_recording_keeps_no_autograd_graph():
    """Its nodes belong to the stream of the recording, on which later windows would have to wait."""
    model, criterion = build("qrnn_ptb")
    steps = GraphedSteps(rerun, has_room=lambda: True)
    trained(model, criterion, steps)
    recorded = [tensor for graph in steps.graphs.values() for tensor in tensors(graph.outputs)]
    assert recorded and not any(tensor.requires_grad for tensor in recorded)


def test_windows_run_as_usual_where_memory_is_short():
    model, criterion = build("qrnn_ptb")
    other, room = copy.deepcopy(model), iter([True, False, False, False])
    expected, _ = trained(model, criterion, None)
    results, replayed = trained(other, criterion, GraphedSteps(rerun, has_room=lambda: next(room)))
    assert replayed == 3 and results == expected  # windows of 5, the first length that comes again


@pytest.mark.parametrize("pads, replays", [((2, 5, 7), 4), ((4, 5), 3)], ids=["replayed", "not replayed"])
def test_the_number_of_targets_is_that_of_each_window(pads, replays):
    """Windows with pads have graphs of their own, since their regularisation is computed in another way."""
    model, criterion = build("qrnn_ptb", output_l2=0.3)
    other = copy.deepcopy(model)
    expected, _ = trained(model, criterion, None, pads)
    results, replayed = trained(other, criterion, GraphedSteps(rerun, has_room=lambda: True), pads)
    assert replayed == replays and results == expected
    for (name, p), q in zip(model.named_parameters(), other.parameters(), strict=True):
        assert torch.equal(p, q), name


@pytest.mark.parametrize(
    "flags, changes, word",
    [
        ((), {"on_cpu": True}, "GPU"),
        ((), {"update_freq": 2}, "--update-freq"),
        ((), {"fp16": True}, "--fp16"),
        (("--sample-break-mode", "eos"), {}, "--sample-break-mode"),
        (("--output-layer", "adaptive_softmax", "--adaptive-softmax-cutoff", "5"), {}, "output layers"),
    ],
)
def test_what_cannot_be_recorded_is_refused(flags, changes, word):
    model, criterion = build("qrnn_ptb", *flags)
    settings = {"update_freq": 1, "fp16": False, "on_cpu": False}
    check_graphs(build("qrnn_ptb")[0].decoder, criterion, **settings)
    with pytest.raises(Refused, match=word):
        check_graphs(model.decoder, criterion, **(settings | changes))
