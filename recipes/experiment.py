"""Read the logs, results and environment in an experiment's folder."""

import itertools
import json
import re
import shlex
from pathlib import Path
from typing import Any

from recipes.logs import epochs

RECIPES = Path(__file__).resolve().parent
DASH = "-"
PUBLISHED = "# published"  # begins the published results in the header of a recipe
KINDS = {  # folder in results/: name in tables
    "plain": "trained",
    "finetuned": "+ fine-tuning",
    "cache": "+ cache",
    "dynamic": "+ dynamic",
}
SUBSETS = ("valid", "test")
STAGES = {"trained": "train", "fine-tuned": "finetune"}  # name: log


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in the file `path`; {} if there is no file."""
    return json.loads(path.read_text()) if path.exists() else {}


def name_of(experiment: Path) -> str:
    """Return the last two names of the path, such as ptb/qrnn."""
    return "/".join(experiment.resolve().parts[-2:])


def recipe_of(experiment: Path) -> Path | None:
    """Return the recipe that was run in `experiment`, or the one that exp/<corpus>/<name> is named after."""
    command = shlex.split(read_json(experiment / "environment.json").get("command") or "")
    typed = Path(command[0]) if command else Path()
    candidates = [RECIPES / typed.parent.name / typed.name] if typed.suffix == ".sh" else []
    corpus, name = experiment.resolve().parts[-2:]
    candidates.append(RECIPES / corpus / f"{name}.sh")
    return next((path.resolve() for path in candidates if path.is_file()), None)


def published(recipe: Path | None) -> str:
    """Return the published results in the header of `recipe`, "trained 60.6 / 58.3; ...", or ""."""
    lines = iter(recipe.read_text().splitlines() if recipe else [])
    title = next((line for line in lines if line.startswith(PUBLISHED)), "")
    rows = itertools.takewhile(lambda line: line.startswith("#   "), lines)
    unit = " bpc" if "bits per character" in title else ""
    return "; ".join(" ".join(row.removeprefix("#").split()) + unit for row in rows)


def results(experiment: Path, kind: str, subset: str) -> dict[str, Any]:
    """Return the numbers of an evaluation; {} if it was not run."""
    return read_json(experiment / "results" / kind / f"results-{subset}.json")


def measured(scores: dict[str, Any]) -> str:
    """Return the first known of: perplexity of words, bits per character, perplexity; else a dash."""
    if "word_perplexity" in scores:
        return f"{scores['word_perplexity']:.2f}"
    if "bpc" in scores:
        return f"{scores['bpc']:.3f} bpc"
    return f"{scores['perplexity']:.2f}" if scores else DASH


def pair(experiment: Path, kind: str) -> str:
    """Return "valid / test" of an evaluation; a dash if it was not run."""
    both = [measured(results(experiment, kind, subset)) for subset in SUBSETS]
    return DASH if both == [DASH, DASH] else " / ".join(both)


def training(experiment: Path, stage: str) -> dict[str, Any]:
    """Return epochs, seconds, tokens/s (the median) and peak GiB of a stage; {} if it was not run."""
    entries = epochs(experiment / "logs" / f"{stage}.log", "train")
    if not entries:
        return {}
    speeds = sorted(float(one["train_wps"]) for one in entries)
    peaks = [float(one["train_peak_gib"]) for one in entries if "train_peak_gib" in one]
    return {
        "epochs": len(entries),
        "seconds": entries[-1]["seconds"],
        "speed": speeds[len(speeds) // 2],
        "peak": max(peaks, default=None),
    }


def architecture(experiment: Path) -> tuple[str, str]:
    """Return --arch and the number of parameters, as text."""
    log = experiment / "logs/train.log"
    text = log.read_text(errors="replace") if log.exists() else ""
    arch = re.search(r"--arch (\S+)", text)
    count = re.search(r"num\. (?:shared )?model params: ([\d,]+)", text)
    return arch[1] if arch else DASH, _size(int(count[1].replace(",", ""))) if count else DASH


def _size(count: int) -> str:
    """Return "24.2 M" or "50.1 k"."""
    return f"{count / 1e6:.1f} M" if count >= 1e5 else f"{count / 1e3:.1f} k"
