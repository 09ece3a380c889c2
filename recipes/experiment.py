"""Read the logs, the results and the records of the stages in an experiment's folder."""

import itertools
import math
import re
import shlex
import statistics
from pathlib import Path
from typing import Any

from recipes import stages
from recipes.checkpoints import best_checkpoint, trained_checkpoint
from recipes.files import read_json, sha256, warn
from recipes.logs import epochs, parameters

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


def name_of(experiment: Path) -> str:
    """Return the last two names of the path, such as ptb/qrnn."""
    return "/".join(experiment.resolve().parts[-2:])


def names_of(experiments: list[Path]) -> dict[Path, str]:
    """Return {path: its last names}, at least two of them and as many as tell the experiments apart."""
    parts = {path: path.resolve().parts for path in experiments}
    names: dict[Path, str] = {}
    for count in range(2, max(map(len, parts.values())) + 1):
        names = {path: "/".join(one[-count:]) for path, one in parts.items()}
        if len({*names.values()}) == len({*parts.values()}):
            break
    return names


def recipe_of(experiment: Path) -> Path | None:
    """Return the recipe that was run in `experiment`, or the one that exp/<corpus>/<name> is named after.

    It is a recipe of the architecture that was trained.
    """
    typed = filter(None, map(script, makers(experiment)))
    candidates = [RECIPES / path.parent.name / path.name for path in typed]
    corpus, name = experiment.resolve().parts[-2:]
    candidates.append(RECIPES / corpus / f"{name}.sh")
    trained, _ = architecture(experiment)
    for path in filter(Path.is_file, candidates):
        if trained == DASH or f"arch={trained} " in path.read_text():
            return path.resolve()
    return None


def script(run: dict[str, Any]) -> Path | None:
    """Return the path of the script that a run started; None if it started a program of Python."""
    command = run.get("command")
    words = shlex.split(command) if isinstance(command, str) else []
    return Path(run.get("folder", ""), words[0]) if words and words[0].endswith(".sh") else None


def runs(experiment: Path, stage: str) -> list[dict[str, Any]]:
    """Return the environments that training was run in, one for each start.

    An experiment of an earlier version has one file for all its stages.
    """
    result = stages.runs(experiment, stage)
    if not result and stage == "train" and (earlier := read_json(experiment / "environment.json")):
        return [earlier]
    return result


def makers(experiment: Path) -> list[dict[str, Any]]:
    """Return the runs that made the numbers of an experiment, both training and evaluations."""
    evaluations = [
        f"{kind}-{subset}" for kind in KINDS for subset in SUBSETS if results(experiment, kind, subset)
    ]
    trainings = [run for stage in STAGES.values() for run in runs(experiment, stage)]
    return [*trainings, *(run for stage in evaluations for run in stages.runs(experiment, stage))]


def distinct(made_by: list[dict[str, Any]], fact: str) -> list[str]:
    """Return the distinct values of a `fact` in runs, in their order."""
    return list(dict.fromkeys(run[fact] for run in made_by if isinstance(run.get(fact), str)))


def commits(made_by: list[dict[str, Any]]) -> list[str]:
    """Return the different commits in runs, short; "-dirty" if a file of the commit had been changed."""
    marked = []
    for run in made_by:
        changed = any(not line.startswith("??") for line in run.get("changed files") or [])
        if isinstance(commit := run.get("commit"), str):
            marked.append(commit[:7] + ("-dirty" if changed else ""))
    return list(dict.fromkeys(marked))


def commands(experiment: Path) -> list[str]:
    """Return the distinct commands that made the numbers of an experiment."""
    return distinct(makers(experiment), "command")


def published(recipe: Path | None) -> str:
    """Return the published results in the header of `recipe`, "trained 60.6 / 58.3; ...", or ""."""
    lines = iter(recipe.read_text().splitlines() if recipe else [])
    title = next((line for line in lines if line.startswith(PUBLISHED)), "")
    rows = itertools.takewhile(lambda line: line.startswith("#   "), lines)
    unit = " bpc" if "bits per character" in title else ""
    return "; ".join(" ".join(row.removeprefix("#").split()) + unit for row in rows)


def results(experiment: Path, kind: str, subset: str) -> dict[str, Any]:
    """Return the numbers of an evaluation; {} if it did not finish, or was run on another model."""
    path = experiment / "results" / kind / f"results-{subset}.json"
    scores = read_json(path)
    if not scores:
        return {}
    if not isinstance(scores.get("perplexity"), float | int):
        warn(f"{path} holds no perplexity, and is left out")
        return {}
    trained = trained_checkpoint(experiment)
    checkpoint = trained if kind == "plain" else best_checkpoint(experiment)
    evaluated = scores.get("checkpoint")
    known = evaluated.get("sha256") if isinstance(evaluated, dict) else None
    if known and checkpoint.exists() and sha256(checkpoint) != known:
        warn(f"{path} does not belong to {checkpoint}, and is left out: evaluate again")
        return {}
    made_with = stages.record(experiment, f"{kind}-{subset}")
    if made_with.get("complete") is False:
        warn(f"{path} is left out: the evaluation was started again and did not finish; run it again")
        return {}
    if checkpoint != trained and base_has_changed(experiment):
        warn(f"{path} is left out: {checkpoint} was not fine-tuned from the current {trained}")
        return {}
    data = [(one.get("inputs") or {}).get("data") for one in (stages.record(experiment, "train"), made_with)]
    if all(data) and data[0] != data[1]:
        warn(f"{path} is a result on data other than the training data")
    return scores


def base_has_changed(experiment: Path) -> bool:
    """Return whether fine-tuning is known to have started from a checkpoint other than the current one."""
    trained = trained_checkpoint(experiment)
    base = (stages.record(experiment, "finetune").get("inputs") or {}).get("--finetune-from-model")
    return bool(base) and trained.exists() and sha256(trained) != base


def measured(scores: dict[str, Any]) -> str:
    """Return perplexity per word, bits per character or perplexity, the first that is known; else a dash.

    The text names the quantity unless it is the perplexity of the targets, which for most corpora are words.
    """
    if "word_perplexity" in scores:
        targets_are_words = math.isclose(scores["word_perplexity"], scores["perplexity"])
        return f"{scores['word_perplexity']:.2f}" + ("" if targets_are_words else " per word")
    if "bpc" in scores:
        return f"{scores['bpc']:.3f} bpc"
    return f"{scores['perplexity']:.2f}" if scores else DASH


def pair(experiment: Path, kind: str) -> str:
    """Return "valid / test" of an evaluation; a dash if it was not run."""
    both = [measured(results(experiment, kind, subset)) for subset in SUBSETS]
    return DASH if both == [DASH, DASH] else " / ".join(both)


def training(experiment: Path, stage: str) -> dict[str, Any]:
    """Return passes over the corpus, seconds, tokens/s (the median) and peak GiB of a stage, or {}."""
    entries = epochs(experiment / "logs" / f"{stage}.log", "train")
    if not entries:
        return {}
    peaks = [float(one["train_peak_gib"]) for one in entries if "train_peak_gib" in one]
    return {
        "epochs": entries[-1]["epoch"],
        "seconds": entries[-1]["seconds"],
        "speed": statistics.median(float(one.get("train_wps", "nan")) for one in entries),
        "peak": max(peaks, default=None),
    }


def architecture(experiment: Path) -> tuple[str, str]:
    """Return --arch and the number of parameters, as text."""
    log = experiment / "logs/train.log"
    text = log.read_text(errors="replace") if log.exists() else ""
    arch = re.search(r"--arch (\S+)", text)
    count = parameters(text)
    return arch[1] if arch else DASH, _size(count) if count else DASH


def _size(count: int) -> str:
    """Return "24.2 M" or "50.1 k"."""
    return f"{count / 1e6:.1f} M" if count >= 1e5 else f"{count / 1e3:.1f} k"
