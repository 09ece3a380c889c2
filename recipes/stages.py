"""Record which stages of an experiment are done, and how their outcome was made.

The record of a stage, EXPERIMENT/stages/NAME.json, holds

    inputs    what determines the outcome (:func:`inputs_of`): flags, and the content of files that are read
    settings  of a training run: the inputs of its completed command, with the flags of the architecture
    complete  whether the stage has finished
    runs      its environment (recipes/environment.py), one for each start; an evaluation has one
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recipes.files import read_json, sha256, write_json

Inputs = dict[str, str | None]
READ = (
    "--path",
    "--checkpoint",
    "--cache-from",
    "--finetune-from-model",
    "--restore-file",
    "--continue-once",
)
# Flags whose value is a location. Where a file is, or how processes find each other, changes no outcome.
PLACES = (
    "--user-dir", "--save-dir", "--tensorboard-logdir", "--results-path", "--cache-tune", "--output",
    "--data",
)  # fmt: skip
# The data are what is trained on; the text, its sizes and codec, decides bits per character and samples.
CONTENT = {"data": ("dict.txt", "*.bin", "*.idx"), "text": ("text.json", "sentencepiece.model")}


def inputs_of(command: Sequence[str], data: str, content: Sequence[str] = tuple(CONTENT)) -> Inputs:
    """Return what determines the outcome of `command`: {flag: value, kind of content: SHA-256}.

    A file that a flag names counts by its content. Locations do not count, so an experiment can be moved.

    Args:
        data: the data-bin, or several separated by colons
        content: keys of CONTENT that the command reads
    """
    inputs: Inputs = {kind: digest(data, CONTENT[kind]) for kind in content}
    for flag, value in by_flag(command).items():
        if flag in READ and value and Path(value).is_file():
            inputs[flag] = sha256(Path(value))
        elif flag not in PLACES:
            inputs[flag] = value
    return inputs


def by_flag(command: Sequence[str]) -> Inputs:
    """Return {flag: value} of a command; the last one wins, and a flag without a value maps to None."""
    flags: Inputs = {}
    flag = None
    for word in command:
        if word.startswith("--"):
            flag, _, value = word.partition("=")
            flags[flag] = value or None
        elif flag is not None:
            flags[flag] = word if flags[flag] is None else f"{flags[flag]} {word}"
    return flags


def digest(data: str, patterns: Sequence[str]) -> str:
    """Return the SHA-256 of the names and contents of the files in data folders that match `patterns`."""
    whole = hashlib.sha256()
    for folder in data.split(":"):
        for path in sorted(path for pattern in patterns for path in Path(folder).glob(pattern)):
            whole.update(f"{path.name} {sha256(path)}\n".encode())
    return whole.hexdigest()


def record_path(experiment: Path, name: str) -> Path:
    """Return the path of the record of the stage `name`."""
    return experiment / "stages" / f"{name}.json"


def record(experiment: Path, name: str) -> dict[str, Any]:
    """Return the record of the stage `name`; {} if it never ran."""
    return read_json(record_path(experiment, name))


def is_done(experiment: Path, name: str, inputs: Inputs, outcome: Path) -> bool:
    """Return whether the stage is complete with the same `inputs`, and its `outcome` still exists."""
    known = record(experiment, name)
    return bool(known.get("complete")) and known.get("inputs") == inputs and outcome.exists()


def begin(
    experiment: Path, name: str, inputs: Inputs, runs: list[dict[str, Any]], **more: Any
) -> dict[str, Any]:
    """Write the record of a stage that begins, and return it; `more` is added to it."""
    begun = {"inputs": inputs, "complete": False, "runs": runs, **more}
    write_json(record_path(experiment, name), begun)
    return begun


def finish(experiment: Path, name: str, begun: dict[str, Any]) -> None:
    """Mark the stage whose record `begun` is as complete, whatever another process has recorded since."""
    write_json(record_path(experiment, name), {**begun, "complete": True})


def runs(experiment: Path, name: str) -> list[dict[str, Any]]:
    """Return the environments that the stage was run in, one for each start; [] if it never ran."""
    known = record(experiment, name).get("runs")
    return [run for run in known if isinstance(run, dict)] if isinstance(known, list) else []


def differences(before: Inputs, now: Inputs) -> list[str]:
    """Describe how the inputs of a stage differ `now` from those `before`."""
    result = []
    for name in sorted(before.keys() | now.keys()):
        old, new = before.get(name), now.get(name)
        if before.keys() >= {name} and now.keys() >= {name} and old == new:
            continue
        if name in CONTENT:
            result.append(f"on different {name}")
        elif name in READ:
            result.append(f"from a different {name}")
        elif name not in now:
            result.append(f"with {_typed(name, old)}")
        elif name not in before:
            result.append(f"without {_typed(name, new)}")
        else:
            result.append(f"with {_typed(name, old)}, not {new}")
    return result


def _typed(flag: str, value: str | None) -> str:
    """Return a flag and its value, as they are typed."""
    return flag if value is None else f"{flag} {value}"
