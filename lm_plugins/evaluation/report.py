"""Report an evaluation: a line in the log, and the same numbers as JSON."""

import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

from lm_plugins import metrics
from lm_plugins.evaluation.results_file import write_results
from lm_plugins.evaluation.tally import Tally
from lm_plugins.peak_memory import peak_memory

logger = logging.getLogger(__name__)


class Report(NamedTuple):
    """The content of a report apart from the numbers of the tally.

    Args:
        subset: name of the text
        characters: number of characters of the text; None: not known
        words: number of words and line ends of the text; None: not known
        folder: for the JSON file; None: do not write one
        checkpoint: path and SHA-256 of the model; None: not needed
    """

    subset: str
    characters: int | None
    words: int | None
    folder: str | None
    checkpoint: dict[str, str] | None

    def finish(self, tally: Tally, seconds: float | None, parts: Mapping[str, Any]) -> None:
        """Log the line, and write the JSON file if there is a folder for it.

        Args:
            seconds: that the text took; None: not known
            parts: further content of the JSON file, such as what was tuned
        """
        results = summary(tally, seconds, peak_memory(), self.characters, self.words)
        logger.info(line(self.subset, results))
        if self.folder:
            write_results(self.folder, self.subset, {**results, **parts}, self.checkpoint)


def summary(
    tally: Tally, seconds: float | None, peak_gib: float, characters: int | None, words: int | None
) -> dict[str, float]:
    """Return the numbers of an evaluation by name.

    "words_per_second" is there only if the seconds are known.
    "unknown" is the number of targets that are ``<unk>``. "perplexity_without_unknown" is there only if there
    are other targets, and "word_perplexity" only if the number of words is known. "bpc" (bits per character)
    is there only if the number of characters is known and no target is ``<unk>``, because the model does not
    predict the characters of an unknown word.
    """
    results = {
        "targets": tally.targets,
        "nats": tally.nats,
        "bits_per_token": metrics.bits(tally.nats, tally.targets),
        "perplexity": tally.perplexity,
        "unknown": tally.unknown,
        "peak_gib": peak_gib,
    }
    if seconds is not None:
        results["words_per_second"] = tally.targets / seconds
    if tally.perplexity_without_unknown is not None:
        results["perplexity_without_unknown"] = tally.perplexity_without_unknown
    if characters and not tally.unknown:
        results["bpc"] = metrics.bits(tally.nats, characters)
    if words:
        results["word_perplexity"] = metrics.perplexity(tally.nats, words)
    return results


def line(subset: str, results: dict[str, float]) -> str:
    """Return the results as one line."""
    optional = f", {results['unknown']:,} unknown"
    if "perplexity_without_unknown" in results:
        optional += f" (ppl {results['perplexity_without_unknown']:.3f} without them)"
    if "bpc" in results:
        optional += f", {results['bpc']:.4f} bpc"
    if "word_perplexity" in results:
        optional += f", word ppl {results['word_perplexity']:.3f}"
    if "words_per_second" in results:
        optional += f", {results['words_per_second']:,.0f} tokens/s"
    return (
        f"{subset}: {results['targets']:,} targets, {results['nats']:.2f} nats, "
        f"{results['bits_per_token']:.5f} bits/token, ppl {results['perplexity']:.3f}{optional}, "
        f"peak {results['peak_gib']:.2f} GiB"
    )
