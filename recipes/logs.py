"""Begin a log of fairseq, and read it."""

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from recipes.files import reason, warn
from recipes.printing import say

LINE = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) \| (\w+) \| (\S+) \| (.*)", re.DOTALL)
DIVERGED = re.compile("diverged|no longer a finite number")  # in the last line of fairseq-train
TRAINING = "fairseq_cli.train"
BUILT = "num. shared model params: "  # every run logs it once, before it trains
LOOP = {"fairseq.trainer", "train", "train_inner", "valid"}  # loggers that no run uses before BUILT
PARAMETERS = re.compile(r"num\. (shared|expert) model params: ([\d,]+)")  # expert: rows of split tables
PROCESSES = re.compile(r"training on (\d+) devices ")  # also on CPUs
FOLDERS = re.compile(r"(\d+) data folders: ")  # logged by lm_plugins.passes, which converts epochs


class Record(NamedTuple):
    """A line of the log."""

    time: datetime
    level: str
    name: str
    message: str


@contextmanager
def written(log: Path, mode: str = "a") -> Iterator[TextIO]:
    """Open `log` for lines, which are in the file as soon as they are written.

    Raises:
        SystemExit: it cannot be written, for example because the disk is full
    """
    try:
        with open(log, mode, buffering=1) as file:
            yield file
    except OSError as error:
        raise SystemExit(
            f"error: {log} cannot be written ({reason(error)}): mend this, and run the same command again"
        ) from error


def begin(log: Path, command: Sequence[str]) -> None:
    """Print `command`, and write it into its log, after the output of earlier runs."""
    line = f"$ {shlex.join(command)}"
    say(line)
    log.parent.mkdir(parents=True, exist_ok=True)
    with written(log) as file:
        file.write(f"{line}\n")


def record(line: str) -> Record | None:
    """Return the record in a line of the log; None for other lines, such as those of a traceback."""
    match = LINE.fullmatch(line.rstrip("\n"))
    return match and Record(datetime.fromisoformat(match[1]), *match.groups()[1:])


def entry(line: Record, tag: str) -> dict[str, Any] | None:
    """Return what fairseq logged as JSON under `tag`; None for other lines, or one that was cut short."""
    if line.name != tag or not line.message.startswith("{"):
        return None
    try:
        values = json.loads(line.message)
    except ValueError:  # the process was killed while it wrote
        return None
    return values if isinstance(values, dict) else None


def logged(output: str, tag: str) -> list[dict[str, Any]]:
    """Return what fairseq logged as JSON under `tag`: "train", "valid", or "train_inner" within an epoch."""
    entries = (entry(line, tag) for line in map(record, output.splitlines()) if line)
    return [values for values in entries if values]


def parameters(text: str) -> int:
    """Return the number of parameters that fairseq logged; 0 if it logged none.

    fairseq calls split tables expert parameters, and counts only the rows of the first process.
    """
    counts = {kind: int(count.replace(",", "")) for kind, count in PARAMETERS.findall(text)}
    processes = int((PROCESSES.findall(text) or ["1"])[-1])
    return counts.get("shared", 0) + processes * counts.get("expert", 0)


def folders(line: Record) -> int | None:
    """Return the number of data folders if this line states it; fairseq counts each folder as an epoch."""
    match = FOLDERS.match(line.message) if line.name == "lm_plugins.passes" else None
    return match and int(match[1])


def epochs(log: Path, tag: str) -> list[dict[str, Any]]:
    """Return the entries of `tag`, one for each epoch of fairseq.

    An epoch that was run again, from an earlier checkpoint, takes the place of itself and of all after it.
    "epoch" counts passes over the corpus: after the second of three data folders it is 2/3. Each entry also
    has "seconds", the time since training started, summed over its restarts. The time between two runs does
    not count.
    """
    entries: list[dict[str, Any]] = []
    for one, seconds in _timed(log, tag):
        while entries and entries[-1]["epoch"] >= one["epoch"]:
            entries.pop()
        entries.append(one | {"seconds": seconds})
    return entries


def _timed(log: Path, tag: str) -> Iterator[tuple[dict[str, Any], float]]:
    """Yield the entries of `tag`, whose epochs are passes, with their seconds of training."""
    earlier = seconds = 0.0
    began, count = None, 1
    if not log.exists():
        return
    with open(log, errors="replace") as file:
        for number, line in enumerate(file, start=1):
            parsed = record(line)
            if parsed is None:
                continue
            count = folders(parsed) or count
            if parsed.name == TRAINING and parsed.message.startswith(BUILT):
                earlier, seconds, began = earlier + seconds, 0.0, None
            if parsed.message == "Start iterating over samples":
                began = began or parsed.time
            # What a new run logs before BUILT is not timed from the old start.
            if began and parsed.name in LOOP:
                seconds = max(seconds, (parsed.time - began).total_seconds())
            if parsed.name == tag:
                one = entry(parsed, tag)
                if one and "epoch" in one:
                    yield one | {"epoch": one["epoch"] / count}, earlier + seconds
                else:
                    warn(f"line {number} of {log} is cut short, and is left out")
