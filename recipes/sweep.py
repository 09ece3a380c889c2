"""Draw the effect of a swept flag, such as the number of softmaxes, on perplexity and training time.

    python -m recipes.sweep STUDY --arch ARCH --flag=--n-experts --picture FILE [--without STUDY --label TEXT]

STUDY is a study of recipes.search with --sampler grid. The best trial of a second study, of the model without
the flag, is drawn as a dotted line. The numbers are written to FILE with the suffix .json, which replaces
only a file that a sweep wrote.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from recipes.files import check_replaceable, has_keys
from recipes.logs import epochs
from recipes.plots import check_picture, picture, whole_numbers

TIMES = {
    "wall": ("seconds", "seconds of training and validation"),
    "processor": ("processor_seconds", "processor seconds, including program start"),
}


def row(folder: Path, trial: FrozenTrial) -> dict[str, Any]:
    """Return the numbers of a completed trial in `folder`."""
    log = folder / f"trial{trial.number}" / "train.log"
    if not (logged := epochs(log, "train")):
        sys.exit(f"error: {log} is missing or holds no epoch: keep it next to the study")
    return {
        "valid_ppl": round(2**trial.value, 2),
        "seconds": logged[-1]["seconds"],
        "processor_seconds": trial.user_attrs.get("processor_seconds"),
        "updates": int(logged[-1]["train_num_updates"]),
        "command": trial.user_attrs["command"],
    }


def completed(path: Path, arch: str) -> list[FrozenTrial]:
    """Return the completed trials of the study of `arch` in the file `path`."""
    if not path.is_file():
        sys.exit(f"error: {path} is not a study: give the --study of recipes.search")
    try:
        study = optuna.load_study(study_name=arch, storage=f"sqlite:///{path.resolve()}")
    except KeyError:
        sys.exit(f"error: {path} holds no study of --arch {arch}: give the --arch of recipes.search")
    trials = study.get_trials(states=(TrialState.COMPLETE,))
    if not trials:
        sys.exit(f"error: no trial of {path} was completed")
    return trials


def points(path: Path, arch: str, flag: str) -> list[dict[str, Any]]:
    """Return a row for each completed trial that has drawn `flag`, sorted by its value."""
    trials = [trial for trial in completed(path, arch) if flag in trial.params]
    if not trials:
        sys.exit(f"error: no completed trial of {path} has drawn {flag}")
    rows = ({"value": one.params[flag], **row(path.with_suffix(""), one)} for one in trials)
    return sorted(rows, key=lambda one: one["value"])


def draw(
    rows: list[dict[str, Any]], without: dict[str, Any] | None, label: str, flag: str, time: str, path: Path
) -> None:
    """Draw perplexity and time over the values of `flag`, and those of `without` as dotted lines."""
    with picture(path, 9, 4) as figure:
        panels = zip(
            figure.subplots(1, 2), (("valid_ppl", "validation perplexity"), TIMES[time]), strict=True
        )
        for axes, (key, title) in panels:
            axes.plot([one["value"] for one in rows], [one[key] for one in rows], "o-", markersize=4)
            if without:
                axes.axhline(without[key], color="grey", linestyle=":", label=label)
                axes.legend()
            if key != "valid_ppl":
                axes.set_ylim(bottom=0)
            whole_numbers(axes)
            axes.set(xlabel=flag, ylabel=title)
            axes.grid(axis="y", alpha=0.3)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m recipes.sweep", description=__doc__.splitlines()[0], allow_abbrev=False
    )
    parser.add_argument("study", type=Path, help="SQLite file of recipes.search")
    parser.add_argument("--arch", required=True, help="architecture of the study")
    parser.add_argument("--flag", required=True, help="swept flag, such as --flag=--n-experts")
    parser.add_argument("--picture", type=Path, required=True, metavar="FILE", help="picture to draw")
    parser.add_argument("--without", type=Path, metavar="STUDY", help="a study of the model without the flag")
    parser.add_argument("--label", default="without", help="its name in the picture (default: without)")
    parser.add_argument(
        "--time", choices=TIMES, default="wall", help="processor: for a shared CPU (default: wall)"
    )
    options = parser.parse_args(arguments)
    check_picture(options.picture)
    numbers = options.picture.with_suffix(".json")
    check_replaceable(numbers, lambda text: has_keys(text, "flag", "points"))
    rows, without = points(options.study, options.arch, options.flag), None
    if options.without:
        best = min(completed(options.without, options.arch), key=lambda trial: trial.value)
        without = row(options.without.with_suffix(""), best)
    draw(rows, without, options.label, options.flag, options.time, options.picture)
    written = {"flag": options.flag, "points": rows, **({options.label: without} if without else {})}
    numbers.write_text(json.dumps(written, indent=1) + "\n")
    key, title = TIMES[options.time]
    for one in rows:
        print(f"{options.flag} {one['value']}: valid ppl {one['valid_ppl']}, {one[key]} {title}")
    print(f"picture: {options.picture}")


if __name__ == "__main__":
    main()
