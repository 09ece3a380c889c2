"""Every numeric option has a range, and a value outside it is refused before anything is built."""

import dataclasses
import json
import math
from argparse import Namespace

import pytest
import torch
from fairseq.dataclass.configs import FairseqConfig
from fairseq.registry import REGISTRIES

from lm_plugins.architectures import ARCHITECTURES
from lm_plugins.completion import complete
from lm_plugins.errors import Refused
from lm_plugins.evaluation.dynamic_options import dynamic_settings
from lm_plugins.evaluation.options import EvaluationFlags
from lm_plugins.flags import flag_of
from lm_plugins.models.awd_lstm import AWDLSTMConfig
from lm_plugins.models.qrnn import QRNNConfig
from lm_plugins.optim.lr_scheduler.exponential_range import ExponentialRange
from lm_plugins.optim.lr_scheduler.linear_decay import LinearDecay
from lm_plugins.optim.torch_adam import TorchAdam, TorchAdamConfig
from lm_plugins.ranges import OF_FAIRSEQ, at_least, check, range_of
from lm_plugins.tasks.config import RecurrentLanguageModelingConfig

QRNN = ["fairseq-train", "data", "--arch", "qrnn_ptb"]
AWD = ["fairseq-train", "data", "--arch", "awd_lstm_ptb"]
ADAM = [*QRNN, "--optimizer", "torch_adam", "--lr", "1"]
WARM_UP = ("--lr-scheduler", "inverse_sqrt", "--warmup-updates", "100")
WEIGHT = torch.nn.Parameter(torch.zeros(3))
EVAL = ["fairseq-eval-lm", "data", "--path", "x.pt"]


def chosen(kind, name):
    """Return the command and the options of a criterion, an optimizer or a schedule."""
    rate = ["--lr", "1"] if kind == "optimizer" else []
    command = [*QRNN, flag_of(kind), name, *rate]
    return command, REGISTRIES[kind]["dataclass_registry"][name]


def groups():
    """Yield (command, dataclass): a command that takes the options of the dataclass."""
    yield QRNN, QRNNConfig
    yield AWD, AWDLSTMConfig
    yield QRNN, RecurrentLanguageModelingConfig
    yield EVAL, EvaluationFlags
    for kind, names in {
        "criterion": ("nce",),
        "optimizer": ("nt_asgd", "sparse_adagrad", "torch_adam"),
        "lr_scheduler": ("exponential_range", "linear_decay", "multi_step", "plateau"),
    }.items():
        for name in names:
            yield chosen(kind, name)
    for group in FairseqConfig.__dataclass_fields__.values():
        if dataclasses.is_dataclass(group.type):
            yield QRNN, group.type


def is_number(field):
    """Return whether `field` declares a numeric option; one without help refers to another field."""
    return "help" in field.metadata and any(kind in str(field.type) for kind in ("int", "float"))


def numeric():
    """Return {(flag, command): field} of all numeric options of ours, and of fairseq's that have a range."""
    return {
        (flag_of(field.name), *command): field
        for command, options in groups()
        for field in dataclasses.fields(options)
        if is_number(field) and (options.__module__.startswith("lm_plugins") or field.name in OF_FAIRSEQ)
    }


NUMERIC = numeric()


def refusal_of(argv):
    """Return the sentence that refuses the command, or None if it is accepted."""
    try:
        complete(argv, {})
    except Refused as refusal:
        return str(refusal)
    return None


def outside(allowed):
    """Return values that `allowed` does not contain."""
    below = [allowed.low if allowed.above else allowed.low - 1] if allowed.low > -math.inf else []
    above = [allowed.high if allowed.below else allowed.high + 1] if allowed.high < math.inf else []
    return [*below, *above, math.nan, math.inf, "1e400", "-inf", "x", ""]


def test_the_options_are_many():
    assert len(NUMERIC) > 70


@pytest.mark.parametrize("option", NUMERIC, ids=lambda option: option[0][2:])
def test_every_number_has_a_range(option):
    flag, *command = option
    field = NUMERIC[option]
    allowed = range_of(field)
    assert allowed is not None, f"{flag} has no range: add one to its metadata"
    if isinstance(field.default, int | float):
        assert field.default in allowed
    whole = "int" in str(field.type)
    for value in outside(allowed):
        text = f"{value:.0f}" if whole and isinstance(value, float) and math.isfinite(value) else str(value)
        refusal = refusal_of([*command, f"{flag}={text}"])
        assert refusal and refusal.startswith(f"{flag} is "), (flag, text, refusal)
        assert "\n" not in refusal


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("flags", [(), ("--finetune-from-model", "x.pt")], ids=["train", "finetune"])
def test_the_flags_of_an_architecture_are_in_range(arch, flags):
    completed = complete(["fairseq-train", "data", "--arch", arch, *flags], {})
    assert refusal_of(completed) is None


TYPED = [  # command, flags, a part of the sentence; None: it runs
    (QRNN, ("--lr", "-0.5"), "--lr is -0.5: it must be above 0"),
    (QRNN, ("--lr", "0"), "--lr is 0: it must be above 0"),
    (QRNN, ("--lr", ""), "--lr is empty: it must be a finite number, above 0"),
    (QRNN, ("--lr=",), "--lr is empty"),
    (QRNN, ("--lr", "1,-2"), "--lr is 1,-2: every number must be above 0"),
    (QRNN, ("--lr", "30,20"), None),
    (QRNN, ("--lr", "nan"), "--lr is nan"),
    (QRNN, ("--batch-size", "0"), "--batch-size is 0: it must be at least 1"),
    (QRNN, ("--max-sentences", "0"), "--batch-size is 0"),
    (QRNN, ("--batch-size", "4.5"), "--batch-size is 4.5"),
    (QRNN, ("--batch-size-valid", "1.5"), "--batch-size-valid is 1.5"),
    (QRNN, ("--clip-norm", "nan"), "--clip-norm is nan: it must be a finite number, at least 0"),
    (QRNN, ("--clip-norm", "0"), None),
    (QRNN, ("--update-freq", "0"), "--update-freq is 0"),
    (QRNN, ("--update-freq", "2,1"), None),
    (QRNN, ("--update-freq", "1.5"), "--update-freq is 1.5: give whole numbers"),
    (QRNN, ("--seed", "-1"), "--seed is -1: it must be at least 0 and at most 4294967295"),
    (QRNN, ("--max-epoch", "-1"), "--max-epoch is -1"),
    (QRNN, ("--max-epoch", "0"), None),
    (QRNN, ("--save-interval", "0"), "--save-interval is 0"),
    (QRNN, ("--dropout", "1"), "--dropout is 1.0: it must be at least 0 and below 1"),
    (QRNN, ("--dropout", "0"), None),
    (QRNN, ("--qrnn-window", "3"), "--qrnn-window is 3: it must be at least 1 and at most 2"),
    (QRNN, ("--bptt-variation", "nan"), "--bptt-variation is nan"),
    (QRNN, ("--decoder-layers", "0"), "--decoder-layers is 0"),
    (QRNN, ("--distributed-world-size", "x"), "--distributed-world-size is x"),
    (
        ADAM,
        ("--adam-betas", "(0.9, 1)"),
        "--adam-betas is 0.9,1: every number must be at least 0 and below 1",
    ),
    (ADAM, ("--adam-betas", "(-0.1,0.9)"), "--adam-betas is -0.1,0.9: every number must be at least 0"),
    (ADAM, ("--adam-betas", "x"), "--adam-betas is x: it must be a finite number"),
    (ADAM, ("--adam-betas", "(0.9, 0.95)"), None),
    (ADAM, ("--adam-betas", "0.9,0.95"), None),
    ([*QRNN, "--optimizer", "adam", "--lr", "1"], ("--adam-betas", "(0.9, 2)"), "--adam-betas is 0.9,2"),
    (QRNN, ("--lr-scheduler", "multi_step", "--milestones", "1.5"), "--milestones is 1.5"),
    (QRNN, ("--lr-scheduler", "multi_step", "--milestones", "25,35"), None),
    (QRNN, ("--best-checkpoint-metric", "foo"), "choose from loss, nll_loss, ppl"),
    (QRNN, ("--best-checkpoint-metric", "ppl"), None),
    (QRNN, ("--maximize-best-checkpoint-metric",), "the highest loss"),
    (QRNN, ("--stop-min-lr", "100"), "--stop-min-lr 100 is not below the first learning rate, 30"),
    (QRNN, ("--stop-min-lr", "1e-5"), None),
    (QRNN, (*WARM_UP, "--stop-min-lr", "1e-9"), "is not below the first learning rate, 0"),
    (QRNN, (*WARM_UP, "--stop-min-lr", "1e-9", "--warmup-init-lr", "1e-7"), None),
    (QRNN, ("--lr-scheduler", "cosine"), "cosine needs its length: give --max-update"),
    (QRNN, ("--lr-scheduler", "cosine", "--lr-period-updates", "9"), None),
    (QRNN, ("--lr-scheduler", "cosine", "--lr-period-updates", "x"), "is x: it must be a finite number"),
    (QRNN, ("--lr-scheduler", "cosine", "--max-update", "9", "--warmup-updates", "9"), "takes all updates"),
    (QRNN, ("--lr-scheduler", "cosine", "--max-update", "9", "--warmup-updates", "8"), None),
    (QRNN, ("--max-tokens", "500"), "--max-tokens has no effect"),
    (QRNN, ("--task", "language_modeling"), "leave out --task"),
    (["fairseq-train", "data", "--arch", "qrnn_small"], ("--update-freq", "0"), "--update-freq is 0"),
    (["fairseq-train", "data", "--arch", "qrnn_small"], ("--batch-size", "x"), "--batch-size is x"),
    (EVAL, ("--batch-size", "0"), "--batch-size is 0"),
    (EVAL, ("--max-tokens", "500"), "--max-tokens has no effect"),
    (EVAL, ("--tokens-per-sample", "0"), "--tokens-per-sample is 0"),
    (EVAL, ("--dynamic-lr", "5"), "--dynamic-lr has no effect without --dynamic-evaluation sgd or rms"),
    (EVAL, ("--dynamic-lr", "1e-4", "--dynamic-evaluation", "sgd"), None),
    (EVAL, ("--dynamic-epsilon", "1e-4", "--dynamic-evaluation", "sgd"), "--dynamic-evaluation rms"),
    (EVAL, ("--eval-warmup", "5"), "--eval-warmup has no effect"),
    (EVAL, ("--eval-warmup", "5", "--eval-streams", "2"), None),
    (EVAL, ("--cache-tune", ""), "--cache-tune is empty"),
    (EVAL, ("--cache-from", ""), "--cache-from is empty"),
    (EVAL, ("--interpolate-with", ""), "--interpolate-with is empty"),
    (["fairseq-generate", *EVAL[1:]], ("--max-tokens", "500"), None),
    (["fairseq-generate", *EVAL[1:]], ("--temperature", "0"), "--temperature is 0.0: it must be above 0"),
    (["fairseq-generate", *EVAL[1:]], ("--beam", "0"), "--beam is 0"),
    (["fairseq-generate", *EVAL[1:]], ("--sampling",), "such as --beam 1"),
    (["fairseq-generate", *EVAL[1:]], ("--sampling", "--beam", "1"), None),
    (["fairseq-generate", *EVAL[1:]], ("--sampling", "--nbest", "5", "--sampling-topk", "3"), None),
    (["fairseq-generate", *EVAL[1:]], ("--sampling-topp", "0.9"), "has no effect without --sampling"),
    (["fairseq-generate", *EVAL[1:]], ("--sampling-topk", "-1"), None),
]


@pytest.mark.parametrize("command, flags, part", TYPED, ids=[" ".join(flags) for _, flags, _ in TYPED])
def test_typed_flags(command, flags, part):
    refusal = refusal_of([*command, *flags])
    assert refusal is None if part is None else part in (refusal or "accepted"), json.dumps(refusal)


@pytest.mark.parametrize(
    "build, part",
    [
        (
            lambda: LinearDecay(Namespace(saturate_epochs=-1, lr_end=0, lr=[1]), None),
            "--saturate-epochs is -1",
        ),
        (
            lambda: ExponentialRange(Namespace(range_updates=1, lr_max=9, lr=[1]), None),
            "--range-updates is 1: it must be at least 2",
        ),
        (lambda: dynamic_settings(EvaluationFlags(dynamic_batches=-1)), "--dynamic-batches is -1"),
        (
            lambda: TorchAdam(TorchAdamConfig(adam_betas=(0.9, 1.0), lr=[1]), [WEIGHT]),
            "--adam-betas is 0.9,1.0",
        ),
        (lambda: TorchAdam(TorchAdamConfig(adam_betas="(0.9,)", lr=[1]), [WEIGHT]), "give two numbers"),
    ],
    ids=["linear_decay", "exponential_range", "dynamic evaluation", "torch_adam", "one beta"],
)
def test_a_range_holds_for_what_is_built_in_python_too(build, part):
    with pytest.raises(Refused, match=part):
        build()


def test_a_list_must_hold_numbers():
    check("--x", [1, 2], at_least(1))
    for wrong in ([], [0], [1, math.inf], [None], "1"):
        with pytest.raises(Refused, match="--x is "):
            check("--x", wrong, at_least(1))
