"""The line that ends an evaluation, and the same as JSON."""

import hashlib
import logging
import math
import os
import shlex
import sys

from lm_plugins.evaluation.write_json import write_json

logger = logging.getLogger(__name__)


def perplexity(nats, targets):
    return math.exp(nats / targets) if nats / targets < 700 else math.inf


def summary(nats, targets, seconds, peak_gib, characters, words):
    """{name: number}

    Args:
        characters: of the text scored; None: not known
        words: of the text scored, with the ends of its lines; None: not known
    """
    bits = nats / targets / math.log(2)
    found = {
        "targets": targets,
        "nats": nats,
        "bits_per_token": bits,
        "perplexity": perplexity(nats, targets),
        "words_per_second": targets / seconds,
        "peak_gib": peak_gib,
    }
    if characters:
        found["bpc"] = nats / characters / math.log(2)
    if words:
        found["word_perplexity"] = perplexity(nats, words)
    return found


def sentence(subset, found):
    bpc = f", {found['bpc']:.4f} bpc" if "bpc" in found else ""
    if "word_perplexity" in found:
        bpc += f", word ppl {found['word_perplexity']:.3f}"
    return (
        f"{subset}: {found['targets']:,} targets, {found['nats']:.2f} nats, "
        f"{found['bits_per_token']:.5f} bits/token, ppl {found['perplexity']:.3f}{bpc}, "
        f"{found['words_per_second']:,.0f} words/s, peak {found['peak_gib']:.2f} GiB"
    )


def write(folder, subset, found, checkpoint):
    """Writes ``folder/results-<subset>.json``: the numbers, the command, and the checkpoint's SHA-256."""
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, f"results-{subset}.json")
    content = {
        "subset": subset,
        **found,
        "command": shlex.join(["fairseq-eval-lm", *sys.argv[1:]]),
        "checkpoint": {"path": checkpoint, "sha256": _sha256(checkpoint)},
    }
    write_json(path, content)
    logger.info(f"wrote {path}")


def _sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
