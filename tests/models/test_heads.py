"""The table of heads: what --output-layer builds, which criterion belongs to it, and heads of plug-ins."""

import pytest
import torch
from fairseq.registry import REGISTRIES

from lm_plugins.completion import complete
from lm_plugins.errors import Refused
from lm_plugins.models import heads
from lm_plugins.models.heads import check_criterion, default_criterion, needed_head, register_head
from lm_plugins.modules.head import Head
from lm_plugins.modules.softmax import Softmax
from tests.helpers.models import SIZE, tiny, windows

MATRIX = ["vocabulary.bias", "vocabulary.weight"]
ADAPTIVE = ("--output-layer", "adaptive_softmax", "--adaptive-softmax-cutoff", "4,7")
KEYS = {  # of decoder.output_head in a checkpoint
    (): MATRIX,
    ("--output-rank", "3"): [*MATRIX, "vocabulary.factor.weight"],
    ("--nce-z", "learned"): [*MATRIX, "log_z"],
    ("--nce-z", "estimated"): [*MATRIX, "estimates", "log_z"],
    ("--output-layer", "mos"): [*MATRIX, "latent.bias", "latent.weight", "prior.weight"],
    (*ADAPTIVE, "--adaptive-softmax-factor", "2"): [
        "head.weight", *(f"tail.{tail}.{layer}.weight" for tail in (0, 1) for layer in (0, 1)),
    ],
}  # fmt: skip
TIED = (*ADAPTIVE, "--share-decoder-input-output-embed")


class Uniform(Head):
    """The smallest head: every word has the same probability, up to a learned factor on all of them."""

    def __init__(self, features, vocabulary_size, *, weight=None, padding_idx=None):
        super().__init__(padding_idx)
        self.logits = torch.nn.Parameter(torch.zeros(vocabulary_size))

    def log_prob(self, features):
        return torch.log_softmax(self.logits, -1).expand(*features.shape[:-1], -1)

    def nll(self, features, target):
        nll = -self.log_prob(features).gather(-1, target.unsqueeze(-1)).squeeze(-1)
        return nll.masked_fill(target == self.padding_idx, 0)


@pytest.fixture
def table(monkeypatch):
    """A copy of the table, to which a test adds heads."""
    monkeypatch.setattr(heads, "HEADS", dict(heads.HEADS))


@pytest.mark.parametrize("flags", KEYS, ids=" ".join)
def test_the_names_in_checkpoints_stay(flags):
    head = tiny("awd_lstm", *flags).decoder.output_head
    assert sorted(head.state_dict()) == sorted(KEYS[flags])


def test_the_names_of_a_tied_adaptive_softmax_stay():
    head = tiny("awd_lstm", *TIED, "--decoder-last-size", "6").decoder.output_head
    assert sorted(head.state_dict()) == ["bias", "tail_bias", "tail_vectors", "weight"]


def test_every_criterion_of_the_table_exists():
    for entry in heads.HEADS.values():
        assert {entry.criterion, *entry.other_criteria} <= REGISTRIES["criterion"]["registry"].keys()


def test_option_and_criterion_set_each_other():
    assert [default_criterion(name) for name in heads.HEADS] == [
        "lm_cross_entropy",
        "adaptive_softmax",
        "mos",
    ]
    assert default_criterion("nosuch") is None is default_criterion(None)
    assert [needed_head(name) for name in ("nce", "mos", "adaptive_softmax")] == [
        "softmax",
        "mos",
        "adaptive_softmax",
    ]
    assert needed_head("lm_cross_entropy") is None is needed_head("of another plug-in")


def test_an_unknown_head_is_refused_with_the_known_ones():
    with pytest.raises(Refused, match="no --output-layer nosuch: choose from softmax, adaptive_softmax, mos"):
        tiny("awd_lstm", "--output-layer", "nosuch")


def test_an_adaptive_softmax_has_no_rank():
    with pytest.raises(Refused, match="--output-rank 3 factorises only a softmax or a mixture of softmaxes"):
        tiny("awd_lstm", *ADAPTIVE, "--output-rank", "3")


def test_a_head_of_a_plug_in_works_like_one_of_ours(table):
    register_head("uniform", Uniform, criterion="contrast", other_criteria=["nce"])
    model = tiny("awd_lstm_ptb", "--output-layer", "uniform")
    assert isinstance(model.decoder.output_head, Uniform)
    text = torch.randint(2, SIZE, (3, 18))
    log_prob = windows(model.train(), text, [8, 9], stream="train")
    torch.testing.assert_close(log_prob, torch.full((3, 17), 1 / SIZE).log().double())
    log_prob.sum().backward()
    assert model.decoder.output_head.logits.grad.ne(0).any()
    arguments = ["fairseq-train", "data", "--arch", "awd_lstm_ptb"]
    assert "contrast" in complete([*arguments, "--output-layer", "uniform"])
    assert "uniform" in complete([*arguments, "--criterion", "contrast"])


def test_a_head_is_built_by_the_function_it_was_registered_with(table):
    def build_it(head, cfg, features, dictionary, embedding):
        if cfg.decoder_layers > 3:
            raise ValueError("this head supports at most 3 layers")
        return head(features, len(dictionary) + 1)

    register_head("larger", Uniform, build=build_it)
    assert len(tiny("awd_lstm", "--output-layer", "larger").decoder.output_head.logits) == SIZE + 1
    with pytest.raises(Refused, match="--output-layer larger: this head supports at most 3 layers"):
        tiny("awd_lstm", "--output-layer", "larger", "--decoder-layers", "4")


def test_a_criterion_supports_the_heads_that_list_it(table):
    register_head("uniform", Uniform, criterion="contrast")
    softmax, uniform = Softmax(3, 5), Uniform(3, 5)
    for criterion, head in (("nce", softmax), ("contrast", uniform), ("of another plug-in", softmax)):
        check_criterion(criterion, head)
        check_criterion("lm_cross_entropy", head)
    with pytest.raises(
        Refused, match="--criterion nce needs a model whose output layer is Softmax, but .* Uniform"
    ):
        check_criterion("nce", uniform)
    with pytest.raises(Refused, match="--criterion contrast needs a model whose output layer is Uniform"):
        check_criterion("contrast", softmax)
    register_head("another", type("Another", (Uniform,), {}), other_criteria=["nce"])
    check_criterion("nce", softmax)
    with pytest.raises(Refused, match="is Softmax or Another"):
        check_criterion("nce", uniform)


def test_a_name_is_registered_once(table):
    with pytest.raises(ValueError, match="already an output layer softmax"):
        register_head("softmax", Uniform)
