"""The Python interface refuses what has no right answer."""

import math

import pytest
import torch

from lm_plugins.errors import Refused
from lm_plugins.hub import LanguageModel
from tests.helpers.models import Task, build

SMALL = (
    "--decoder-embed-dim", "4", "--decoder-hidden-size", "4", "--decoder-layers", "1",
    "--dropout", "0", "--hidden-dropout", "0", "--input-dropout", "0", "--weight-dropout", "0",
)  # fmt: skip


@pytest.fixture
def model(tmp_path):
    decoder = build("awd_lstm", 12, *SMALL).decoder.eval()
    return LanguageModel(decoder, Task(12).source_dictionary, str(tmp_path), "word")


@pytest.mark.parametrize(
    "numbers, sentence",
    [
        ({"temperature": math.nan}, "temperature is nan: it must be a finite number, at least 0"),
        ({"temperature": math.inf}, "temperature is inf"),
        ({"temperature": "hot"}, "temperature is hot"),
        ({"temperature": -1}, "temperature is -1: it must be at least 0"),
        ({"top_k": -1}, "top_k is -1"),
        ({"top_p": 0}, "top_p is 0: it must be above 0 and at most 1"),
        ({"length": None}, "length is None"),
    ],
)
def test_numbers_of_a_sample(model, numbers, sentence):
    with pytest.raises(Refused, match=sentence):
        model.sample("w5 w6", **numbers)
    assert model.sample("w5 w6", length=2, top_p=1).startswith("w5 w6")


@pytest.mark.parametrize("symbol", ["<pad>", "<s>"])
def test_symbols_that_no_corpus_has(model, symbol):
    """A pad would be scored as certain."""
    with pytest.raises(Refused, match=f"the literal symbol {symbol}"):
        model.score(f"w5 {symbol} w6")
    assert len(model.score("w5 <unk> w6\n").log_probs) == 4


def test_a_model_of_nan(model):
    for parameter in model.decoder.parameters():
        torch.nn.init.constant_(parameter, math.nan)
    with pytest.raises(Refused, match="the probability (zero or )?NaN"):
        model.score("w5 w6")
    with pytest.raises(Refused, match="the probability (zero or )?NaN"):
        model.sample("w5", length=1)
