"""Write the results of rescoring, each file as a whole or not at all."""

import argparse
from pathlib import Path
from typing import Any

from lm_plugins.files import atomically, write_json
from lm_plugins.grid_picture import picture_file
from lm_plugins.rescoring.picture import draw
from lm_plugins.rescoring.results import Rescored, grid_json, results_json


def write(rescored: Rescored, options: argparse.Namespace, models: dict[str, Any]) -> None:
    """Write the files that `options` name.

    Args:
        models: what the JSON file of --json says of the models
    """
    if options.rescored is not None:
        write_lines(options.rescored, rescored_lines(rescored))
    if options.output is not None:
        write_lines(options.output, best_lines(rescored))
    if options.json is not None:
        write_json(options.json, {**results_json(rescored), **models})
    if rescored.grid is not None:
        write_json(options.tune, {**results_json(rescored), "grid": grid_json(rescored.grid)})
        draw(rescored.grid, picture_file(options.tune))


def best_lines(rescored: Rescored) -> list[str]:
    """Return a line for each list: the utterance and the best hypothesis."""
    pairs = zip(rescored.lists, rescored.best.tolist(), strict=True)
    return [f"{nbest.utterance}\t{nbest.hypotheses[index].text}" for nbest, index in pairs]


def rescored_lines(rescored: Rescored) -> list[str]:
    """Return a line for each hypothesis, the highest total of an utterance first.

    The columns are those of the input, then ln p of the language model in nats, the number of words, and the
    total.
    """
    lines = []
    totals = rescored.scores.totals(rescored.alpha, rescored.beta)
    for nbest, row, log_probs in zip(rescored.lists, totals, rescored.scores.log_prob, strict=True):
        columns = zip(nbest.hypotheses, log_probs.tolist(), row.tolist(), strict=False)
        for one, log_prob, total in sorted(columns, key=lambda column: -column[2]):
            scores = [f"{score:.12g}" for score in one.scores]
            numbers = [*scores, f"{log_prob:.6f}", str(one.words), f"{total:.6f}"]
            lines.append("\t".join([one.utterance, one.text, *numbers]))
    return lines


def write_lines(path: Path, lines: list[str]) -> None:
    """Write `lines` to `path` in UTF-8."""
    with atomically(path) as unfinished, open(unfinished, "w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)
