r"""Estimate an n-gram model with interpolated Kneser-Ney smoothing, and write it in ARPA format.

    python -m recipes.kneser_ney train.txt kn5.arpa --order 5

    p_n(w | h) = max(c(h w) - D_n, 0) / c(h) + D_n N(h) / c(h) p_(n-1)(w | h')

h' is h without its first word, c(h) the sum of c(h w) over w, and N(h) the number of words that follow h. At
the highest order, and for n-grams that begin with ``<s>``, c(g) is the number of occurrences of g. At the
lower orders it is the number of words that precede g. D_n = n_1 / (n_1 + 2 n_2), where n_k n-grams have the
count k. p_0 is uniform over the words, ``</s>`` and ``<unk>``. In ARPA terms, D_n N(h) / c(h) is the back-off
weight of h.

Source: Kneser and Ney (1995), in the interpolated form of Chen and Goodman (1998). Departure from KenLM's
lmplz and SRILM's -kndiscount: one discount for each order instead of three.
"""

import argparse
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from lm_plugins.errors import Refused
from lm_plugins.files import atomically, check_writable
from recipes.processes import end_quietly_by_interrupt

BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"
NEVER = -99.0  # log10 p of <s>, as ARPA files write it
Ngram = tuple[str, ...]


def count(lines: Iterable[list[str]], order: int) -> list[Counter[Ngram]]:
    """Return the occurrences of the n-grams of each order 1 .. `order`; ``<s>`` alone is not counted.

    Raises:
        Refused: there is no word, or a line has ``<s>`` or ``</s>``, which are added here
    """
    counts: list[Counter[Ngram]] = [Counter() for _ in range(order)]
    for words in lines:
        for mark, end in ((BEGIN, "beginning"), (END, "end")):
            if mark in words:
                raise Refused(
                    f"the training text has the word {mark}, which marks the {end} of a line: remove it"
                )
        line = (BEGIN, *words, END)
        for size, counter in enumerate(counts, start=1):
            counter.update(line[i : i + size] for i in range(int(size == 1), len(line) - size + 1))
    if not counts[0].keys() - {(END,)}:
        raise Refused("the training text has no words: give another one")
    return counts


def continuations(counts: list[Counter[Ngram]]) -> list[Counter[Ngram]]:
    """Return the counts c of Kneser-Ney smoothing for each order."""
    result = [Counter({g: c for g, c in counter.items() if g[0] == BEGIN}) for counter in counts[:-1]]
    for lower, higher in zip(result, counts[1:], strict=True):
        lower.update(g[1:] for g in higher)
    return [*result, counts[-1]]


def discount(counter: Counter[Ngram]) -> float:
    """Return D_n; 0.75 where no n-gram has the count 1, or none the count 2."""
    ones, twos = (sum(1 for c in counter.values() if c == k) for k in (1, 2))
    return ones / (ones + 2 * twos) if ones and twos else 0.75


class KneserNey:
    """The probabilities and the back-off weights of all n-grams.

    Args:
        lines: the words of each line of the training text
        order: length of the longest n-grams, at least 2

    Raises:
        Refused: see :func:`count`
    """

    def __init__(self, lines: Iterable[list[str]], order: int) -> None:
        counts = continuations(count(lines, order))
        self.p: list[dict[Ngram, float]] = []  # for each order, {n-gram: p of its last word}
        self.backoff: dict[Ngram, float] = {}  # {history: weight of the lower order}
        uniform = 1 / len({*counts[0], (UNKNOWN,)})
        for counter in counts:
            if not self.p:
                counter[(UNKNOWN,)] += 0
            d, total, followers = discount(counter), defaultdict(int), defaultdict(int)
            for g, c in counter.items():
                total[g[:-1]] += c
                followers[g[:-1]] += c > 0
            backoff = {h: d * followers[h] / total[h] for h in total}
            lower = self.p[-1] if self.p else {(): uniform}
            self.p.append(
                {
                    g: max(c - d, 0) / total[g[:-1]] + backoff[g[:-1]] * lower.get(g[1:], uniform)
                    for g, c in counter.items()
                }
            )
            self.backoff |= backoff

    def arpa(self) -> Iterator[str]:
        """Yield the lines of an ARPA file."""
        unigrams = {(BEGIN,): None, **self.p[0]}
        orders = [unigrams, *self.p[1:]]
        yield "\\data\\"
        yield from (f"ngram {size}={len(p)}" for size, p in enumerate(orders, start=1))
        for size, probabilities in enumerate(orders, start=1):
            yield from ("", f"\\{size}-grams:")
            for g, p in probabilities.items():
                line = f"{NEVER if p is None else math.log10(p):.7g}\t{' '.join(g)}"
                weight = self.backoff.get(g)
                yield f"{line}\t{math.log10(weight):.7g}" if weight else line
        yield from ("", "\\end\\")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m recipes.kneser_ney", description=__doc__.splitlines()[0], allow_abbrev=False
    )
    parser.add_argument(
        "text", type=Path, help="training text: one sentence per line, words separated by white space"
    )
    parser.add_argument("output", type=Path, help="ARPA file to write")
    parser.add_argument(
        "--order", type=int, default=5, help="length of the longest n-grams, at least 2 (default: 5)"
    )
    options = parser.parse_args()
    end_quietly_by_interrupt()
    if options.order < 2:
        parser.error(f"--order is {options.order}: it must be at least 2")
    try:
        check_writable(options.output, "output")
        # An empty line is a </s> of the binarized text, too.
        lines = options.text.read_text(encoding="utf-8-sig").removesuffix("\n").split("\n")
        model = KneserNey(map(str.split, lines), options.order)
    except (OSError, UnicodeDecodeError, Refused) as error:
        parser.error(str(error))
    with atomically(options.output) as unfinished, open(unfinished, "w", encoding="utf-8") as file:
        file.writelines(line + "\n" for line in model.arpa())
    sizes = ", ".join(f"{len(p):,} {n}-grams" for n, p in enumerate(model.p, start=1))
    print(f"wrote {options.output}: {sizes}")


if __name__ == "__main__":
    main()
