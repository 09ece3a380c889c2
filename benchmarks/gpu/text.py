"""A data folder of random words, so that speed can be measured without a corpus."""

from pathlib import Path

import numpy as np
import torch
from fairseq.data import Dictionary
from fairseq.data.indexed_dataset import MMapIndexedDatasetBuilder

LINE = 25  # words per line, with </s>


def write_text(folder: Path, vocabulary: int, tokens: int) -> Path:
    """Write a data-bin with a training text of `tokens` words and a validation text of a hundredth of that.

    Words are drawn with frequencies that decrease as 1 / (rank + 10), so that the clusters of an adaptive
    softmax have the same shares as in a real text.
    """
    folder.mkdir(parents=True, exist_ok=True)
    dictionary = Dictionary()
    words = vocabulary - len(dictionary)
    weights = 1 / (np.arange(words) + 10.0)
    for rank, weight in enumerate(weights / weights.min()):
        dictionary.add_symbol(f"w{rank}", n=int(weight * 10))
    dictionary.save(str(folder / "dict.txt"))
    draw = np.random.default_rng(1)
    for subset, count in ("train", tokens), ("valid", max(1000, tokens // 100)):
        text = draw.choice(words, size=count, p=weights / weights.sum()) + dictionary.nspecial
        text[LINE - 1 :: LINE] = dictionary.eos()
        builder = MMapIndexedDatasetBuilder(str(folder / f"{subset}.bin"), dtype=np.int32)
        for start in range(0, count, LINE):
            builder.add_item(torch.from_numpy(text[start : start + LINE]))
        builder.finalize(str(folder / f"{subset}.idx"))
    return folder
