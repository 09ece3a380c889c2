"""Make n-best lists from a text, to try rescoring without a speech recogniser.

    python -m examples.make_nbest TEXT OUT [--utterances 500] [--hypotheses 20] [--seed 1]

writes OUT.tsv and OUT.ref.tsv (docs/rescoring.md). Each hypothesis is a line of the text after random
substitutions, deletions and insertions. Three of four substitutions take a word of similar spelling, as a
recogniser would. The reference is among the hypotheses of every second utterance. The score of a hypothesis
stands for the log-probability of the sound; it decreases by 2 for each error, plus noise.
"""

import argparse
import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

ERRORS = 0.15  # probability of an error at a word
COST, NOISE = 2.0, 6.0  # of an error, and standard deviation, in nats


class Channel:
    """Random errors in lines of words.

    Args:
        words: the vocabulary
        draw: the source of randomness
    """

    def __init__(self, words: Sequence[str], draw: random.Random) -> None:
        self.words, self.draw = words, draw
        self.similar: dict[tuple, list[str]] = defaultdict(list)
        for word in words:
            self.similar[self.sound(word)].append(word)

    @staticmethod
    def sound(word: str) -> tuple[str, str, int]:
        """Return a key that similar words share: the first and last letters, and the approximate length."""
        return word[0], word[-1], len(word) // 3

    def corrupt(self, words: Sequence[str]) -> tuple[list[str], int]:
        """Return `words` with errors, at least one word, and the number of errors."""
        out, errors = [], 0
        for word in words:
            if self.draw.random() >= ERRORS:
                out.append(word)
                continue
            errors += 1
            kind = self.draw.choice(("substitute", "substitute", "substitute", "delete", "insert"))
            if kind == "substitute":
                out.append(self.confused(word))
            elif kind == "insert":
                out += [word, self.draw.choice(self.words)]
        return out or list(words[:1]), errors

    def confused(self, word: str) -> str:
        """Return a word that a recogniser might take for `word`."""
        return self.draw.choice(self.similar[self.sound(word)] if self.draw.random() < 0.75 else self.words)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument(
        "text", type=Path, help="UTF-8 text: one sentence per line, words separated by white space"
    )
    parser.add_argument("out", help="prefix of the names of both files")
    parser.add_argument("--utterances", type=int, default=500, help="number of lists (default: 500)")
    parser.add_argument("--hypotheses", type=int, default=20, help="hypotheses per list (default: 20)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the errors (default: 1)")
    options = parser.parse_args()
    draw = random.Random(options.seed)
    lines = [
        words for line in options.text.read_text(encoding="utf-8").split("\n") if (words := line.split())
    ]
    channel = Channel(sorted({word for words in lines for word in words}), draw)
    lines = draw.sample(lines, min(options.utterances, len(lines)))
    with (
        open(f"{options.out}.tsv", "w", encoding="utf-8") as nbest,
        open(f"{options.out}.ref.tsv", "w", encoding="utf-8") as references,
    ):
        for number, words in enumerate(lines, start=1):
            references.write(f"utt{number}\t{' '.join(words)}\n")
            lists = [channel.corrupt(words) for _ in range(options.hypotheses)]
            if draw.random() < 0.5:
                lists[draw.randrange(len(lists))] = words, 0
            for hypothesis, errors in lists:
                score = draw.gauss(-COST * errors, NOISE)
                nbest.write(f"utt{number}\t{' '.join(hypothesis)}\t{score:.3f}\n")


if __name__ == "__main__":
    main()
