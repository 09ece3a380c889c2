"""Time and memory of the cache, beside a loop over words with a one-hot history as in pointer.py.

    OMP_NUM_THREADS=1 python -m benchmarks.neural_cache

Times are medians of interleaved repetitions, in words a second; memory is what each holds at its peak, in
a process of its own, above what it held before. Both give ln p of the same words.
"""

import argparse
import multiprocessing
import statistics
import time
from pathlib import Path

import torch
from torch.nn import functional as F

from benchmarks.output_layers import memory
from lm_plugins.evaluation.continuous_cache import ContinuousCache

THETA, WIDTH, SEED = 0.66, 400, 1


def one_hot_loop(states, words, window, vocabulary, words_before):
    """awd-lstm-lm's way: the history holds V numbers for each word, and each word sums over all of it."""
    history = F.one_hot(words, vocabulary).float()
    found = []
    for t in range(words_before, len(states)):
        first = max(0, t - window)
        attention = torch.softmax(THETA * (states[first:t] @ states[t]), dim=0).unsqueeze(1)
        distribution = (attention.expand(-1, vocabulary) * history[first:t]).sum(0)
        found.append(distribution[words[t]].log())
    return torch.stack(found)


def blocked(states, words, window, vocabulary, words_before):
    """Ours, in windows of 100 words; it scores the history too, while it fills."""
    cache = ContinuousCache((window,), (THETA,))
    parts = zip(states.unsqueeze(1).split(100), words.unsqueeze(1).split(100), strict=True)
    return torch.cat([cache.log_prob(*part)[0, 0, :, 0] for part in parts])[words_before:]


METHODS = {"one-hot loop": one_hot_loop, "ours": blocked}


def case(window, count, vocabulary):
    """A history of `window` words and `count` words to score."""
    torch.manual_seed(SEED)
    states = torch.randn(window + count, WIDTH) / WIDTH**0.5
    return states, torch.randint(vocabulary, (window + count,)), window, vocabulary, window


def peak(method, arguments, pipe):
    """MiB above what was held before; run in a process of its own."""
    case_ = case(*arguments)
    METHODS[method](*case_)  # what torch sets up once is not counted
    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak is what is held now
    METHODS[method](*case_)
    pipe.send(memory("VmHWM") - before)


def peak_of(method, arguments):
    receive, send = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(target=peak, args=(method, arguments, send))
    process.start()
    process.join()
    return receive.recv()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--windows", default="500,2000,3785", help="of the cache, separated by commas")
    parser.add_argument("--words", type=int, default=200, help="words to score after a full history")
    parser.add_argument("--vocabulary", type=int, default=10_000, help="V")
    parser.add_argument("--repeat", type=int, default=5, help="interleaved repetitions")
    options = parser.parse_args()
    print(f"{'window':>8s}{'':>16s}{'words/s':>12s}{'ratio':>8s}{'peak MiB':>10s}")
    for window in map(int, options.windows.split(",")):
        arguments = (window, options.words, options.vocabulary)
        given, seconds, found = case(*arguments), {name: [] for name in METHODS}, {}
        for _ in range(options.repeat):
            for name, method in METHODS.items():
                began = time.perf_counter()
                found[name] = method(*given)
                seconds[name].append(time.perf_counter() - began)
        torch.testing.assert_close(found["ours"], found["one-hot loop"], rtol=1e-4, atol=1e-4)
        slow = statistics.median(seconds["one-hot loop"])
        for name in METHODS:
            took = statistics.median(seconds[name])
            rate, held = options.words / took, peak_of(name, arguments)
            print(f"{window:8d}{name:>16s}{rate:12,.0f}{slow / took:8.1f}{held:10.0f}", flush=True)


if __name__ == "__main__":
    with torch.no_grad():
        main()
