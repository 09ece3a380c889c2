"""Plot the output layer's memory over the vocabulary size, as in the figures of Leonard (2016, Torch blog).

    OMP_NUM_THREADS=1 python -m benchmarks.output_memory --picture output_memory.png

The command measures how far a loss and its backward pass raise the memory of the process: logits, their
copies, and gradients. A softmax has dense gradients of all its rows, and NCE has sparse ones of the rows that
it looks up.
"""

import argparse
import json
import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.measure import Group, Work, compare
from benchmarks.output_layers import linear_softmax, loss, softmax
from benchmarks.passes import forward_backward, words
from lm_plugins.modules.noise import Unigram
from lm_plugins.modules.softmax import Softmax
from lm_plugins.ops.noise_contrast import noise_contrastive_estimation
from recipes.files import check_replaceable, has_keys
from recipes.plots import check_picture, picture

VOCABULARIES = (10_000, 50_000, 100_000, 200_000)


def contrast(targets: int, vocabulary: int, width: int, k: int) -> Work:
    """Prepare noise contrastive estimation with `k` shared noise words and sparse gradients."""
    head, noise = Softmax(width, vocabulary, sparse=True), Unigram(1e6 / torch.arange(1, vocabulary + 1))
    x = torch.randn(targets, width, requires_grad=True)

    def total(x: Tensor, target: Tensor) -> Tensor:
        drawn = noise.draw((k,))
        score, noise_score = head.scores(x, target.unsqueeze(-1)).squeeze(-1), head.scores(x, drawn)
        log_q = noise.log_prob(target), noise.log_prob(drawn)
        return noise_contrastive_estimation(score, log_q[0], noise_score, log_q[1]).sum()

    return forward_backward(total, head.parameters(), x, words(vocabulary, (targets,)))


def groups(quick: bool) -> Iterator[Group]:
    """Yield a group for each size of the vocabulary."""
    targets, width, k = (6, 8, 5) if quick else (640, 64, 400)
    for vocabulary in (50,) if quick else VOCABULARIES:
        sizes = targets, vocabulary, width
        yield Group(
            f"memory of the output layer, V {vocabulary:,}, C {width}, {targets:,} targets",
            {
                "linear and cross entropy": partial(loss, linear_softmax, *sizes),
                "softmax in chunks": partial(loss, softmax, *sizes),
                f"NCE, K {k}": partial(contrast, *sizes, k),
            },
        )


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.output_memory", description=__doc__.splitlines()[0], allow_abbrev=False
    )
    parser.add_argument("--picture", type=Path, required=True, metavar="FILE", help="picture to draw")
    parser.add_argument(
        "--device", choices=("cpu", "cuda"), default="cpu", help="device of the tensors (default: cpu)"
    )
    parser.add_argument("--quick", action="store_true", help="use tiny sizes, to try the command")
    options = parser.parse_args(arguments)
    logging.getLogger("matplotlib").setLevel(logging.WARNING)  # fairseq lets every logger say everything
    check_picture(options.picture)
    numbers = options.picture.with_suffix(".json")
    check_replaceable(numbers, lambda text: has_keys(text, "vocabulary", "peak_mib"))
    peaks: dict[str, list[float]] = {}
    measured = list(groups(options.quick))
    for group in measured:
        # By its full name: this module may run as __main__, which another process cannot import.
        results = compare("benchmarks.output_memory", group, options.quick, 0, options.device)
        for case, (peak, _) in results.items():
            peaks.setdefault(case, []).append(round(peak, 1))
            print(f"{group.name}: {case}: {peak:,.1f} MiB")
    vocabularies = VOCABULARIES[: len(measured)]
    with picture(options.picture, 6, 4) as figure:
        axes = figure.subplots()
        for case, values in peaks.items():
            axes.plot([v / 1000 for v in vocabularies], values, "o-", label=case)
        axes.set(xlabel="vocabulary, thousands of words", ylabel="peak memory, MiB", ylim=(0, None))
        axes.grid(axis="y", alpha=0.3)
        axes.legend()
    written = {"vocabulary": vocabularies, "peak_mib": peaks}
    numbers.write_text(json.dumps(written, indent=1) + "\n")


if __name__ == "__main__":
    main()
