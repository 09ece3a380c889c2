"""The study of a search, an SQLite file: open it, and show its completed trials."""

import argparse
import shlex
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import optuna
from optuna import Study
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from recipes.plots import DPI
from recipes.samplers import WORKER, fail_killed, pruner, sampler
from recipes.search_trial import DRAWN, typed_value
from recipes.stages import CONTENT, digest


def open_study(options: argparse.Namespace, flags: list[str]) -> Study:
    """Open or create the study; architecture, data, flags and space must be the same for all its trials.

    The caller holds the lock of the folder of the trials, because parallel workers may open it at once.
    """
    folder = options.study.with_suffix("")
    if not options.study.exists() and any(folder.glob("trial*")):
        sys.exit(f"error: {folder} holds the trials of another study: give another --study")
    storage = storage_of(options.study)
    try:
        others = [name for name in optuna.get_all_study_names(storage) if name != options.arch]
        if others:
            sys.exit(
                f"error: the study {options.study} belongs to --arch {others[0]}, and the trials of both "
                "would be in one folder: give another --study"
            )
        study = optuna.create_study(
            study_name=options.arch, storage=storage, pruner=pruner(options.sampler), load_if_exists=True
        )
    except (SQLAlchemyError, optuna.exceptions.OptunaError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise SystemExit(
            f"error: --study {options.study} is not a study ({reason}): give a new file"
        ) from error
    space = options.space.read_text() if options.space else ""
    fail_killed(study)
    compared = {"data": digest(options.data, CONTENT["data"]), "flags": flags, "space": space}
    before = study.user_attrs.get("compared", compared) if has_outcomes(study) else compared
    typed = shlex.join(before["flags"])
    shown = {"data": "different data", "flags": f"different flags ({typed})", "space": "a different --space"}
    for what in compared:
        if before[what] != compared[what]:
            sys.exit(
                f"error: the study {options.study} was begun with {shown[what]}: give the same, or another "
                "--study"
            )
    study.set_user_attr("compared", compared)
    study.sampler = sampler(options.sampler, options.search_seed, len(study.get_trials(deepcopy=False)))
    return study


def was_validated(study: Study) -> bool:
    """Return whether any trial got as far as a validation."""
    return any(trial.intermediate_values for trial in study.trials)


def has_outcomes(study: Study) -> bool:
    """Return whether a trial has or may get an outcome: it was validated, pruned or completed, or it runs."""
    without = (TrialState.WAITING, TrialState.FAIL)
    return was_validated(study) or any(trial.state not in without for trial in study.trials)


def still_running(study: Study, path: Path) -> Iterator[str]:
    """Yield a sentence for each trial of the study in `path` that counts as running.

    It says whose trial it is, and what to do if that process was killed on another machine.
    """
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        machine, process = trial.user_attrs.get(WORKER, ("an unknown machine", "?"))
        command = [
            "optuna", "tell", "--storage", storage_of(path), "--study-name", study.study_name,
            "--trial-number", str(trial.number), "--state", "fail",
        ]  # fmt: skip
        yield (
            f"trial {trial.number} still counts as running, in process {process} on {machine}: if that has "
            f"ended, run `{shlex.join(command)}` and then the search again"
        )


def storage_of(path: Path) -> str:
    """Return Optuna's address of the study in the file `path`."""
    return f"sqlite:///{path.resolve()}"


def completed(study: Study) -> list[FrozenTrial]:
    """Return the completed trials."""
    return study.get_trials(states=(TrialState.COMPLETE,))


def table(study: Study) -> str:
    """Return the table of the completed trials, best first."""
    done = sorted(completed(study), key=lambda trial: trial.value)
    names = sorted({name for trial in done for name in drawn_by(trial)})
    lines = ["| trial | valid ppl | " + " | ".join(names) + " |", "|" + "---|" * (len(names) + 2)]
    for trial in done:
        values = [drawn_by(trial).get(name, "-") for name in names]
        lines.append(f"| {trial.number} | {2**trial.value:.2f} | " + " | ".join(values) + " |")
    return "\n".join(lines)


def drawn_by(trial: FrozenTrial) -> dict[str, str]:
    """Return {flag: value as it was typed} of a trial; an earlier version recorded its parameters only."""
    earlier = {name: typed_value(value) for name, value in trial.params.items()}
    return trial.user_attrs.get(DRAWN, earlier)


def draw_pictures(study: Study, path: Path) -> None:
    """Draw the history next to the study, and the importance of each flag if two trials differ."""
    import matplotlib

    matplotlib.use("Agg")
    from optuna.visualization.matplotlib import plot_optimization_history, plot_param_importances

    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    history = plot_optimization_history(study, target_name="validation loss (bits)")
    history.xaxis.get_major_locator().set_params(integer=True)
    figures = {".png": history.figure}
    if len({trial.value for trial in completed(study)}) > 1:
        figures[".importances.png"] = plot_param_importances(study, target_name="validation loss").figure
    for suffix, figure in figures.items():
        figure.savefig(path.with_suffix(suffix), dpi=DPI, bbox_inches="tight")
        print(f"picture: {path.with_suffix(suffix)}")
