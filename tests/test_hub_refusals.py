"""The Python interface refuses what has no right answer."""

import math

import numpy as np
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
        ({"length": 2.5}, "length is 2.5: give a whole number"),
        ({"top_k": 1.5}, "top_k is 1.5: give a whole number"),
        ({"seed": "a"}, "seed is 'a': give a whole number"),
        ({"seed": 2**64}, "seed is 18446744073709551616: it must be"),
    ],
)
def test_numbers_of_a_sample(model, numbers, sentence):
    with pytest.raises(Refused, match=sentence):
        model.sample("w5 w6", **numbers)
    assert model.sample("w5 w6", length=2, top_p=1).startswith("w5 w6")


def test_numbers_of_numpy_and_torch(model):
    numbers = {
        "length": np.int64(2),
        "top_k": torch.tensor(3),
        "temperature": np.float32(1),
        "seed": np.int32(5),
    }
    assert model.sample("w5", **numbers) == model.sample("w5", length=2, top_k=3, seed=5)
    assert model.next("w5", np.int64(2)) == model.next("w5", 2)
    with pytest.raises(Refused, match="batch_size is 2.5: give a whole number"):
        model.score(["w5"], batch_size=2.5)


def test_the_state_of_several_texts(model):
    """The first of them would be taken for all texts."""
    score = model.score("w5")
    two = score.state.select(torch.tensor([0, 0]))
    for call in (model.score, model.next, model.features):
        for wrong in (two, score, "w5"):
            with pytest.raises(Refused, match="a state is that of one text: give the .state of a score"):
                call("w6", state=wrong)
    with pytest.raises(Refused, match="a state is that of one text"):
        model.score(["w6", "w7"], state=two)


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
