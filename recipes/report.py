"""Report experiments: their results, their learning curves, and the next commands.

    python -m recipes.report EXPERIMENT... [--markdown] [--picture FILE]

EXPERIMENT is a folder such as exp/ptb/qrnn. Published numbers come from the header of the recipe, as
valid / test. A dash marks what was not run or not published. The curves are drawn in EXPERIMENT/curves.png,
or those of all experiments in one FILE. Their values are written beside the picture, with the suffix .tsv,
which replaces only a table of curves.
"""

import argparse
import os
import shlex
import signal
import sys
import textwrap
from pathlib import Path

from recipes import experiment as read
from recipes.checkpoints import best_checkpoint
from recipes.curve_table import is_table, write_table
from recipes.curves import curves, draw
from recipes.experiment import DASH, KINDS, SUBSETS
from recipes.files import check_replaceable, is_foreign, reason, sha256, warn
from recipes.plots import check_picture
from recipes.processes import end_quietly_by_interrupt
from recipes.progress import duration
from recipes.stages import record
from recipes.text_table import aligned

COLUMNS = (
    "recipe", "arch", "parameters", "valid", "test", "+ fine-tuning", "+ cache", "+ dynamic", "published",
    "hardware", "epochs", "hours", "tokens/s", "peak GiB", "commit",
)  # fmt: skip
BRIEF = (*COLUMNS[:8], "epochs", "hours")  # columns that fit in a terminal
PICTURE, TABLE = "curves.png", ".tsv"
MEASURES = {  # {measure of an evaluation: (title, format)}
    "word_perplexity": ("perplexity of words", "{:,.2f}"),
    "bpc": ("bits per character", "{:.3f}"),
    "perplexity": ("perplexity", "{:,.2f}"),
}


def row(experiment: Path) -> dict[str, str]:
    """Return {column: text} of one experiment."""
    recipe = read.recipe_of(experiment)
    hardware = ", ".join(read.distinct(read.runs(experiment, "train"), "hardware")) or DASH
    if processes := (record(experiment, "train").get("settings") or {}).get("processes"):
        hardware += f", {processes} process" + ("es" if processes != "1" else "")
    commits = read.commits(read.makers(experiment))
    arch, parameters = read.architecture(experiment)
    trained = read.training(experiment, "train")
    return {
        "recipe": f"{recipe.parent.name}/{recipe.stem}" if recipe else read.name_of(experiment),
        "arch": arch,
        "parameters": parameters,
        **{name: read.measured(read.results(experiment, "plain", name)) for name in SUBSETS},
        **{name: read.pair(experiment, kind) for kind, name in KINDS.items() if kind != "plain"},
        "published": read.published(recipe) or DASH,
        "hardware": hardware,
        "epochs": passes(trained["epochs"]) if trained else DASH,
        "hours": f"{trained['seconds'] / 3600:.2f}" if trained else DASH,
        "tokens/s": f"{trained['speed']:,.0f}" if trained else DASH,
        "peak GiB": f"{trained['peak']:.2f}" if trained.get("peak") else DASH,
        "commit": ", ".join(commits) or DASH,
    }


def passes(epochs: float) -> str:
    """Return a number of passes over the corpus, such as "20" or, after 33 of 99 data folders, "0.33"."""
    return f"{round(epochs, 2):g}"


def markdown(rows: list[dict[str, str]]) -> str:
    """Return a Markdown table."""
    lines = [COLUMNS, ["---"] * len(COLUMNS), *([one[name] for name in COLUMNS] for one in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def overview(rows: dict[str, dict[str, str]]) -> str:
    """Return a table with a line for each experiment, {name: row}, without empty columns."""
    columns = [name for name in BRIEF[1:] if any(one[name] != DASH for one in rows.values())]
    return aligned(
        [["", *columns], *([name, *(one[column] for column in columns)] for name, one in rows.items())]
    )


def evaluations(experiment: Path) -> str:
    """Return the table of evaluations, with a block for each measure and the columns valid and test."""
    scores = {
        name: [read.results(experiment, kind, subset) for subset in SUBSETS] for kind, name in KINDS.items()
    }
    scores = {name: pair for name, pair in scores.items() if any(pair)}
    known = {key for pair in scores.values() for numbers in pair for key in numbers}
    measures = [key for key in MEASURES if key in known and key != "perplexity"] or ["perplexity"]
    blocks = []
    for key in measures:
        title, form = MEASURES[key]
        lines = [[title, *SUBSETS]]
        for name, pair in scores.items():
            lines.append([f"  {name}", *(form.format(one[key]) if key in one else DASH for one in pair)])
        blocks.append(lines)
    if not scores:
        return "nothing has been evaluated yet"
    return aligned([line for lines in blocks for line in lines])


def summary(experiment: Path) -> str:
    """Return the report of one experiment for a terminal."""
    facts = row(experiment)
    if facts["arch"] == DASH:
        return f"{facts['recipe']}: nothing has been trained yet"
    lines = [f"{facts['recipe']}: {facts['arch']}, {facts['parameters']} parameters", ""]
    lines += [evaluations(experiment), ""]
    if facts["published"] != DASH:
        title = "published"
        for result in facts["published"].split("; "):
            lines.append(f"{title:12s}{result}")
            title = ""
    for name, stage in read.STAGES.items():
        done = read.training(experiment, stage)
        if done:
            peak = f", peak {done['peak']:.2f} GiB" if done["peak"] else ""
            time = duration(done["seconds"])
            epochs = "1 epoch" if done["epochs"] == 1 else f"{passes(done['epochs'])} epochs"
            lines.append(f"{name:12s}{epochs} in {time}, {done['speed']:,.0f} tokens/s{peak}")
    lines.append(f"{'hardware':12s}{facts['hardware']}")
    lines.append(f"{'commit':12s}{facts['commit']}")
    if (experiment / PICTURE).exists():
        lines.append(f"{'curves':12s}{experiment / PICTURE}")
    lines += [f"{'command':12s}{command}" for command in read.commands(experiment)]
    return "\n".join(lines)


def sample(experiment: Path) -> str:
    """Return the text that the model wrote, indented; "" if there is none, or another model wrote it."""
    path, best = experiment / "sample.txt", best_checkpoint(experiment)
    made_with = record(experiment, "sample")
    writer = (made_with.get("inputs") or {}).get("--checkpoint")
    if not path.exists() or made_with.get("complete") is False:  # a stage that begins leaves the earlier text
        return ""
    if writer and best.exists() and sha256(best) != writer:
        return ""
    lines = path.read_text(encoding="utf-8").strip().splitlines()
    wrapped = (textwrap.fill(line, 76, initial_indent="  ", subsequent_indent="  ") for line in lines)
    return "\n".join([f"the model writes ({path}):", "", *wrapped])


def activation() -> list[str]:
    """Return the line that puts this repository's commands on the PATH; [] if they are on it."""
    needed = not os.environ.get("VIRTUAL_ENV") and Path(".venv/bin/activate").exists()
    return ["source .venv/bin/activate"] if needed else []


def next_commands(experiment: Path) -> str:
    """Return the commands to try next; "" while there is no model."""
    best = best_checkpoint(experiment)
    if not best.exists():
        return ""
    lines = activation()
    lines.append(shlex.join(["python", "-m", "recipes.sample", str(experiment), "the beginning of a text"]))
    evaluated = shlex.split(read.results(experiment, "plain", "test").get("command", ""))
    if len(evaluated) > 1:
        where = ["fairseq-eval-lm", evaluated[1], "--user-dir", "lm_plugins", "--path", str(best)]
        lines.append(shlex.join([*where, "--gen-subset", "test"]))
    if commands := read.distinct(read.runs(experiment, "train"), "command"):
        command = commands[-1]
        again = experiment.with_name(f"{experiment.name}-seed2")
        lines.append(f"{command} --exp {shlex.quote(str(again))} --seed 2")
        lines.append(
            f"python -m recipes.report {shlex.join([str(experiment), str(again)])} --picture seeds.png"
        )
    return "\n".join(["next:", *(f"  {line}" for line in lines)])


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m recipes.report", description=__doc__.splitlines()[0], allow_abbrev=False
    )
    parser.add_argument(
        "experiments", nargs="+", type=Path, metavar="EXPERIMENT", help="a folder such as exp/ptb/qrnn"
    )
    parser.add_argument("--markdown", action="store_true", help="print a Markdown row for each experiment")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw all curves in one picture")
    options = parser.parse_args(arguments)
    end_quietly_by_interrupt()
    experiments = options.experiments
    for path in experiments:
        if not path.is_dir():
            sys.exit(f"error: {path} is not the folder of an experiment: give one such as exp/ptb/qrnn")
    if options.picture:
        check_picture(options.picture)
        check_replaceable(options.picture.with_suffix(TABLE), is_table)
    drawn = {path: lines for path in experiments if (lines := curves(path))}
    names = read.names_of(experiments)
    if options.picture and not drawn:
        sys.exit("error: no experiment has logged an epoch yet, so there is nothing to draw: train first")
    if options.picture:
        draw({names[path]: lines for path, lines in drawn.items()}, options.picture)
        write_table({names[path]: path for path in drawn}, options.picture.with_suffix(TABLE))
    else:
        for path, lines in drawn.items():
            table = (path / PICTURE).with_suffix(TABLE)
            try:
                draw({read.name_of(path): lines}, path / PICTURE)
                if is_foreign(table, is_table):
                    warn(f"{table} is not a table of learning curves, and is kept: give --picture FILE")
                else:
                    write_table({read.name_of(path): path}, table)
            except OSError as error:  # the experiment is another user's
                warn(f"{path / PICTURE} cannot be written ({reason(error)}): give --picture FILE")
    if options.markdown:
        print(markdown([row(path) for path in experiments]))
    elif len(experiments) > 1:
        sections = [
            overview({names[path]: row(path) for path in experiments}),
            *map(sample, experiments),
        ]
        print("\n\n".join(section for section in sections if section))
    else:
        sections = summary(experiments[0]), sample(experiments[0]), next_commands(experiments[0])
        print("\n" + "\n\n".join(section for section in sections if section))
    if options.picture:
        print(f"\ncurves: {options.picture}")


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # end quietly if the reader, such as head, has ended
    main()
