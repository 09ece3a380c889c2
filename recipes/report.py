"""The table of experiments and their learning curves, from fairseq's logs and the result files.

    python -m recipes.report EXPERIMENT...        # folders such as exp/penn/qrnn

Prints a table in Markdown and draws EXPERIMENT/curves.png. Published numbers are those in the header of the
recipe; what was not run is a dash.
"""

import argparse
import json
import re
import sys
from pathlib import Path

from recipes.logs import logged

RECIPES = Path(__file__).resolve().parent
COLUMNS = (
    "recipe", "arch", "parameters", "valid", "test", "+ fine-tuning", "+ cache", "+ dynamic", "published",
    "hardware", "epochs", "hours", "words/s", "peak GiB", "commit",
)  # fmt: skip
DASH = "-"


def published(recipe):
    """What the header of `recipe` (a path) says was published; "" if nothing."""
    lines = recipe.read_text().splitlines() if recipe.exists() else []
    return next(
        (line.removeprefix("# published: ") for line in lines if line.startswith("# published: ")), ""
    )


def recipe_of(experiment):
    """The recipe that makes exp/<corpus>/<name>: the one that says so in its second line of settings."""
    corpus, name = experiment.parts[-2:]
    for path in sorted(RECIPES.glob("*/*.sh")):
        if f"corpus={corpus} name={name} " in path.read_text():
            return path
    return RECIPES / corpus / f"{name}.sh"


def read_json(path):
    return json.loads(path.read_text()) if path.exists() else {}


def log_entries(log, tag):
    """What fairseq logged as JSON under `tag`; of an epoch that was run twice, the last."""
    text = log.read_text() if log.exists() else ""
    found = {entry["epoch"]: entry for entry in logged(text, tag)}
    return [found[epoch] for epoch in sorted(found)]


def number(results, what, subset):
    """The perplexity of words where it is known, else bpc where that is, else the perplexity, as text."""
    found = read_json(results / what / f"results-{subset}.json")
    if "word_perplexity" in found:
        return f"{found['word_perplexity']:.2f}"
    if "bpc" in found:
        return f"{found['bpc']:.3f} bpc"
    return f"{found['perplexity']:.2f}" if found else DASH


def pair(results, what):
    both = [number(results, what, subset) for subset in ("valid", "test")]
    return DASH if both == [DASH, DASH] else " / ".join(both)


def row(experiment):
    """{column: text} of one experiment."""
    recipe, environment = recipe_of(experiment), read_json(experiment / "environment.json")
    log = experiment / "logs" / "train.log"
    text, epochs = log.read_text() if log.exists() else "", log_entries(log, "train")
    arch = re.search(r"--arch (\S+)", text)
    parameters = re.search(r"num\. (?:shared )?model params: ([\d,]+)", text)
    speeds = sorted(float(epoch["train_wps"]) for epoch in epochs)
    peaks = [float(epoch["train_peak_gib"]) for epoch in epochs if "train_peak_gib" in epoch]
    hours = float(epochs[-1]["train_wall"]) / 3600 if epochs else None
    results = experiment / "results"
    return {
        "recipe": f"{recipe.parent.name}/{recipe.stem}",
        "arch": arch[1] if arch else DASH,
        "parameters": f"{int(parameters[1].replace(',', '')) / 1e6:.1f} M" if parameters else DASH,
        "valid": number(results, "plain", "valid"),
        "test": number(results, "plain", "test"),
        "+ fine-tuning": pair(results, "finetuned"),
        "+ cache": pair(results, "cache"),
        "+ dynamic": pair(results, "dynamic"),
        "published": published(recipe).replace("|", ";") or DASH,
        "hardware": environment.get("hardware", DASH),
        "epochs": str(len(epochs)) if epochs else DASH,
        "hours": f"{hours:.2f}" if hours is not None else DASH,
        "words/s": f"{speeds[len(speeds) // 2]:,.0f}" if speeds else DASH,
        "peak GiB": f"{max(peaks):.2f}" if peaks else DASH,
        "commit": (environment.get("commit") or DASH)[:7],
    }


def table(rows):
    lines = [COLUMNS, ["---"] * len(COLUMNS), *([row[name] for name in COLUMNS] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def draw(experiment):
    """The perplexity of training and validation by epoch, of the training and the fine-tuning."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.5))
    drawn = 0
    for stage in ("train", "finetune"):
        log = experiment / "logs" / f"{stage}.log"
        for tag in ("train", "valid"):
            key = f"{tag}_ppl"
            points = [(e["epoch"], float(e[key])) for e in log_entries(log, tag) if key in e]
            if points:
                axes.plot(*zip(*points, strict=True), marker=".", label=f"{stage}, {tag}")
                drawn += 1
    if drawn:
        axes.set(xlabel="epoch", ylabel="perplexity", yscale="log", title="/".join(experiment.parts[-2:]))
        axes.legend()
        figure.savefig(experiment / "curves.png", dpi=120, bbox_inches="tight")
    pyplot.close(figure)
    return drawn


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("experiments", nargs="+", type=Path, metavar="EXPERIMENT")
    experiments = [path.resolve() for path in parser.parse_args().experiments]
    for path in experiments:
        if not path.is_dir():
            sys.exit(f"error: {path} is no folder of an experiment: give one such as exp/penn/qrnn")
    print(table([row(path) for path in experiments]))
    for path in experiments:
        if draw(path):
            print(f"\ncurves: {path / 'curves.png'}")


if __name__ == "__main__":
    main()
