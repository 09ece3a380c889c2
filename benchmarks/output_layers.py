"""Time and memory of the output layers, forward and backward, as one table.

    OMP_NUM_THREADS=1 python benchmarks/output_layers.py

Times are medians of interleaved repetitions; memory is what the process holds at its peak above what
it held before the loss, gradients included, each case in a process of its own.
"""

import argparse
import multiprocessing
import re
import statistics
import time
from pathlib import Path

import torch

from lm_plugins.modules.adaptive_softmax import AdaptiveSoftmax
from lm_plugins.modules.mixture_of_softmaxes import MixtureOfSoftmaxes
from lm_plugins.modules.noise import Unigram
from lm_plugins.modules.softmax import Softmax
from lm_plugins.ops.linear_cross_entropy import linear_cross_entropy
from lm_plugins.ops.noise_contrast import noise_contrastive_estimation
from lm_plugins.optim.averaged_sgd import AveragedSGD

TARGETS, SEED = 1400, 1


def naive_softmax(vocabulary, width):
    head = Softmax(width, vocabulary)

    def loss(features, target):
        matrix = head.vocabulary
        return linear_cross_entropy(features, matrix.weight, matrix.bias, target, impl="naive")

    return head, loss


def softmax(vocabulary, width):
    head = Softmax(width, vocabulary)
    return head, head.nll


def naive_mixture(vocabulary, width, experts=15):
    head = MixtureOfSoftmaxes(width, vocabulary, experts=experts, width=280)

    def loss(features, target):
        (latent, log_prior), matrix = head.components(features), head.vocabulary
        return linear_cross_entropy(
            latent, matrix.weight, matrix.bias, target, log_prior=log_prior, impl="naive"
        )

    return head, loss


def mixture(vocabulary, width, experts=15):
    head = MixtureOfSoftmaxes(width, vocabulary, experts=experts, width=280)
    return head, head.nll


def adaptive(vocabulary, width):
    tied = torch.nn.Parameter(torch.randn(vocabulary, width) * 0.1)
    head = AdaptiveSoftmax(width, vocabulary, cutoffs=[2800, 20000, 76000], weight=tied)
    return head, head.nll


def adaptive_of_torch(vocabulary, width):
    head = torch.nn.AdaptiveLogSoftmaxWithLoss(width, vocabulary, [2800, 20000, 76000], div_value=1.0)
    return head, lambda features, target: -head(features, target).output


def nce(vocabulary, width, k=400):
    """A whole training step: embedding, NCE with noise for the window, update."""
    head = Softmax(width, vocabulary, sparse=True)
    table = torch.nn.Embedding(vocabulary, width, sparse=True)
    noise = Unigram(1e6 / torch.arange(1, vocabulary + 1))
    optimizer = AveragedSGD([*head.parameters(), *table.parameters()], lr=0.1)

    def loss(_, target):
        optimizer.zero_grad()
        features, words = table(target.roll(1)), noise.draw((k,))
        score = head.scores(features, target.unsqueeze(-1)).squeeze(-1)
        loss = noise_contrastive_estimation(
            score, noise.log_prob(target), head.scores(features, words), noise.log_prob(words)
        )
        loss.sum().backward()
        optimizer.step()
        return torch.zeros((), requires_grad=True)

    return head, loss


CASES = [  # group, name, what to make, V, C
    ("softmax, V 10,000", "naive", naive_softmax, 10_000, 400),
    ("softmax, V 10,000", "by chunks", softmax, 10_000, 400),
    ("softmax, V 267,735", "naive", naive_softmax, 267_735, 400),
    ("softmax, V 267,735", "by chunks", softmax, 267_735, 400),
    ("softmax, V 267,735", "adaptive, torch's (full width)", adaptive_of_torch, 267_735, 400),
    ("softmax, V 267,735", "adaptive, tied", adaptive, 267_735, 400),
    ("mixture of 15, V 10,000", "naive", naive_mixture, 10_000, 620),
    ("mixture of 15, V 10,000", "by chunks", mixture, 10_000, 620),
    ("NCE step, k 400, sparse", "V 10,000", nce, 10_000, 250),
    ("NCE step, k 400, sparse", "V 800,000", nce, 800_000, 250),
]


def measure(case, connection):
    """Seconds of each repetition, asked for one by one, and the peak above the start in MiB."""
    torch.manual_seed(SEED)
    _, _, make, vocabulary, width = case
    head, loss = make(vocabulary, width)
    features = torch.randn(TARGETS, width, requires_grad=True)
    # words as frequent as in a text: Zipf's law
    target = Unigram(1e6 / torch.arange(1, vocabulary + 1)).draw((TARGETS,))
    before = memory("VmRSS")
    while connection.recv():
        head.zero_grad()
        Path("/proc/self/clear_refs").write_text("5")  # the peak is what is held now
        start = time.perf_counter()
        loss(features, target).sum().backward()
        connection.send((time.perf_counter() - start, memory("VmHWM") - before))


def memory(field):
    """Of this process, in MiB (Linux)."""
    return int(re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=5, help="repetitions of each case")
    parser.add_argument("--only", default="", help="the groups whose name begins with this")
    arguments = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    cases = [case for case in CASES if case[0].startswith(arguments.only)]
    for group in dict.fromkeys(case[0] for case in cases):
        rivals, running = [case for case in cases if case[0] == group], []
        for case in rivals:
            ours, theirs = context.Pipe()
            process = context.Process(target=measure, args=(case, theirs))
            process.start()
            theirs.close()  # that a process which fails is noticed
            running.append((case, ours, process))
        results = {case[1]: [] for case in rivals}
        for _ in range(arguments.repeat):
            for case, connection, _ in running:
                connection.send(True)
                results[case[1]].append(connection.recv())
        for _, connection, process in running:
            connection.send(False)
            process.join()
        report(group, results)


def report(group, results):
    print(f"\n{group}: {TARGETS} targets, forward and backward")
    print(f"{'':34}{'seconds':>9}{'to first':>10}{'peak MiB':>10}{'to first':>10}")
    first = None
    for name, measured in results.items():
        seconds = statistics.median(second for second, _ in measured)
        peak = max(peak for _, peak in measured)
        first = first or (seconds, peak)
        ratios = f"{seconds / first[0]:10.2f}{peak:10.0f}{peak / first[1]:10.2f}"
        print(f"{name:34}{seconds:9.3f}{ratios}", flush=True)


if __name__ == "__main__":
    main()
