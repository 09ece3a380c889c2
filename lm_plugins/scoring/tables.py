"""Write the scores of lines as tables with tabs, or as JSON."""

import json
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch

from lm_plugins import metrics
from lm_plugins.data.text_codec import Codec
from lm_plugins.scoring.line_scores import LineScore
from lm_plugins.scoring.words import Unit, words

HEADER = "line\ttoken\tbits\tunknown"  # of a table of tokens


class Total(NamedTuple):
    """ln p of some tokens in nats, their number, and how many of them are ``<unk>``."""

    log_prob: float = 0.0
    tokens: int = 0
    unknown: int = 0

    def plus(self, other: "Total") -> "Total":
        """Return the sum of both."""
        return Total(*map(sum, zip(self, other, strict=True)))

    @property
    def perplexity(self) -> float:
        """Return exp(-ln p / tokens); NaN without tokens."""
        return metrics.perplexity(-self.log_prob, self.tokens) if self.tokens else math.nan


class Table:
    """Formats the scores of lines.

    Args:
        level: what a token is
        codec: the codec of that level
        unknown: the id of ``<unk>``
        units: None: one row for each line; "tokens" or "words": one row for each of them
        as_json: write a JSON object for each line, with the tokens or words in it
    """

    def __init__(
        self, level: str, codec: Codec, unknown: int, units: str | None = None, as_json: bool = False
    ) -> None:
        self.level, self.codec, self.unknown, self.units, self.as_json = level, codec, unknown, units, as_json

    def header(self) -> list[str]:
        """Return the first rows."""
        return [HEADER] if self.units and not self.as_json else []

    def total(self, score: LineScore) -> Total:
        """Return the total of a line."""
        log_prob = float(score.log_probs.sum(dtype=torch.float64))
        return Total(log_prob, len(score.ids), score.ids.count(self.unknown))

    def rows(self, number: int, score: LineScore, total: Total) -> Iterator[str]:
        """Yield the rows of line `number`, counted from 1."""
        if self.as_json:
            yield json.dumps(self._object(score, total), ensure_ascii=False)
        elif self.units:
            for text, bits, unknown in self._units(score):
                column = " ".join(text.split())  # a tab in a word would begin another column
                yield f"{number}\t{column}\t{bits:.7g}\t{int(unknown)}"
        else:
            yield f"{total.log_prob:.9g}\t{total.tokens}\t{total.unknown}\t{total.perplexity:.7g}"

    def _object(self, score: LineScore, total: Total) -> dict[str, Any]:
        perplexity = total.perplexity if math.isfinite(total.perplexity) else None
        content = {**total._asdict(), "perplexity": perplexity}
        if self.units:
            content["bits"] = [list(unit) for unit in self._units(score)]
        return content

    def _units(self, score: LineScore) -> list[Unit]:
        bits = [metrics.bits(-value, 1) for value in score.log_probs.tolist()]
        rows = zip(score.symbols, bits, score.ids, strict=True)
        tokens = [Unit(symbol, value, index == self.unknown) for symbol, value, index in rows]
        if self.units == "tokens":
            return tokens
        count = len(tokens) - score.eos
        return [*words(tokens[:count], self.level, self.codec), *tokens[count:]]
