"""Read n-best lists and references."""

import math
from pathlib import Path
from typing import NamedTuple

from lm_plugins.errors import Refused
from lm_plugins.rescoring.lines import Line, read_lines

HYPOTHESES = "an utterance, a hypothesis and one or more scores"
REFERENCES = "an utterance and its words"


class Hypothesis(NamedTuple):
    """A line of an n-best list."""

    utterance: str
    text: str
    scores: list[float]  # of the first pass; larger is better
    line: str  # its name for messages

    @property
    def first_pass(self) -> float:
        """Return the sum of the scores."""
        return sum(self.scores)

    @property
    def words(self) -> int:
        """Return the number of words, which are separated by white space."""
        return len(self.text.split())


class NBest(NamedTuple):
    """The hypotheses of an utterance, in the order of the file."""

    utterance: str
    hypotheses: list[Hypothesis]


def read_nbest(path: Path) -> list[NBest]:
    """Return the n-best lists in the file `path`, in its order.

    Raises:
        Refused: a line is not a hypothesis, or the hypotheses of an utterance are not together
    """
    lists: list[NBest] = []
    first: dict[str, str] = {}  # {utterance: its first line}
    count = 0  # columns of the first line
    for line in read_lines(path, HYPOTHESES, 3):
        count = count or len(line.columns)
        if len(line.columns) != count:
            raise Refused(
                f"{line.name} has {len(line.columns)} columns, but the first line has {count}: give all "
                "lines the same columns"
            )
        hypothesis = _hypothesis(line)
        if not lists or lists[-1].utterance != hypothesis.utterance:
            if hypothesis.utterance in first:
                raise Refused(
                    f"{line.name} has the utterance {hypothesis.utterance} again, after others: put all "
                    f"hypotheses of an utterance together ({first[hypothesis.utterance]})"
                )
            first[hypothesis.utterance] = line.name
            lists.append(NBest(hypothesis.utterance, []))
        lists[-1].hypotheses.append(hypothesis)
    return lists


def _hypothesis(line: Line) -> Hypothesis:
    utterance, text, *columns = line.columns
    if not text:
        raise Refused(f"{line.name} has an empty hypothesis: leave the line out")
    scores = []
    for column in columns:
        try:
            scores.append(float(column))
        except ValueError:
            scores.append(math.nan)
        if not math.isfinite(scores[-1]):
            raise Refused(f"{line.name} has the score '{column:.40}': give a finite number")
    return Hypothesis(utterance, text, scores, line.name)


def read_references(path: Path, lists: list[NBest]) -> list[str]:
    """Return the reference of each of `lists`, from a file that may hold others too.

    Raises:
        Refused: a line is not a reference, an utterance has none or two, or there are no words at all
    """
    references: dict[str, str] = {}
    for line in read_lines(path, REFERENCES, 2):
        utterance, text = line.columns[0], " ".join(line.columns[1:])
        if utterance in references:
            raise Refused(f"{line.name} has a second reference for {utterance}: leave one of them out")
        references[utterance] = text
    for nbest in lists:
        if nbest.utterance not in references:
            raise Refused(
                f"{path} has no reference for the utterance {nbest.utterance} "
                f"({nbest.hypotheses[0].line}): add it"
            )
    chosen = [references[nbest.utterance] for nbest in lists]
    if not any(text.split() for text in chosen):
        raise Refused(f"{path} has no words, so there is no word error rate: give the spoken words")
    return chosen
