"""The lines of a corpus as prompts, and as targets for a scorer."""

import numpy as np

from lm_plugins.data.prompts import Prompts
from lm_plugins.data.token_stream import TokenStream

PAD, EOS = 1, 2


def test_the_targets_are_the_tokens_of_the_corpus():
    """Corpora of characters, for example, have lines without </s>."""
    tokens, sizes = np.array([4, 5, EOS, EOS, 6, 7, 8], dtype=np.uint16), np.array([3, 1, 3, 0])
    prompts = Prompts.of_corpus(TokenStream("test", tokens, sizes), PAD, EOS)
    batch = prompts.collater([prompts[number] for number in range(4)])
    assert batch["target"].tolist() == [
        [4, 5, EOS, PAD],
        [EOS, PAD, PAD, PAD],
        [6, 7, 8, PAD],
        [PAD, PAD, PAD, PAD],
    ]
    assert batch["net_input"]["src_tokens"].tolist() == [
        [EOS, 4, 5, PAD],
        [EOS, PAD, PAD, PAD],
        [EOS, 6, 7, 8],
        [EOS, PAD, PAD, PAD],
    ]
    assert [prompts.num_tokens(number) for number in range(4)] == [3, 1, 4, 1]


def test_a_typed_text_has_no_end_to_score():
    prompts = Prompts([[4, 5], []], PAD, EOS)
    assert prompts.collater([prompts[1], prompts[0]])["target"].tolist() == [[PAD, PAD, PAD], [4, 5, PAD]]
