"""Show the progress of a fairseq program, and keep its complete output in a log.

    fairseq-train ... 2>&1 | python -m recipes.progress LOG

appends every line to LOG. The terminal shows the epochs done, the perplexity, the speed and the remaining
time: one line at the end of each epoch, and at most one every ten seconds within an epoch.
"""

import re
import signal
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from recipes.logs import Record, entry, folders, parameters, record, written
from recipes.printing import say

UNTIMED = re.compile(r"(INFO|DEBUG):[\w.]+:")  # a record of a program that has not set a format
EVERY = 10.0  # seconds between two lines within an epoch
# Loggers that state the limits of a training run. The last one converts passes over several data folders.
LIMITING = ("fairseq_cli.train", "lm_plugins.completion", "lm_plugins.passes")
RESULTS = {  # loggers
    *(f"lm_plugins.evaluation.{name}" for name in ("report", "cache_report", "grid_search")),
    "lm_plugins.tasks.evaluation",
}


def duration(seconds: float) -> str:
    """Return `seconds` as "50 s", "12 min" or "3 h 20 min"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def last_number(flag: str, text: str) -> int:
    """Return the last value of `flag` (max_epoch) among flags or in fairseq's configuration, or 0.

    fairseq logs its configuration only without this plug-in, or if LOGLEVEL is DEBUG.
    """
    option = flag.replace("_", "-")
    values = re.findall(rf"--{option}[ =](\d+)|'{flag}': (\d+)", text)
    return int(max(values[-1])) if values else 0


class Progress:
    """Select the lines to show from a log that is read line by line.

    Args:
        show: prints a line
        clock: returns the time in seconds
    """

    def __init__(
        self, show: Callable[[str], None] = print, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.show, self.clock = show, clock
        self.max_epoch = self.max_update = 0  # max_epoch counts data folders, as fairseq does
        self.folders = 1
        self.described = ""  # the model, and the number of processes
        self.start: tuple[float, float] | None = None  # time, and the fraction of the training done by then
        self.within = False  # whether an update within an epoch was read
        self.valid: dict[str, Any] | None = None
        self.shown = clock()
        self.held: list[str] = []  # the last lines, if they are not records but those of an error

    def feed(self, line: str) -> None:
        """Read a line, and show it or the progress that it reports."""
        parsed = record(line)
        if parsed is None and UNTIMED.match(line) is None:
            self.held.append(line.rstrip("\n"))
            return
        self.held.clear()
        if parsed is None:
            return
        if parsed.level not in ("INFO", "DEBUG"):
            self.show(f"{parsed.level}: {parsed.message}")
        elif parsed.name in RESULTS:
            self.show(f"  {parsed.message}")
        elif parsed.name == "fairseq.logging.progress_bar":
            self._seldom(f"  {parsed.message.strip()}")
        else:
            self._training(parsed)

    def _training(self, parsed: Record) -> None:
        """Read a record of fairseq-train."""
        self.folders = folders(parsed) or self.folders
        if parsed.name in LIMITING:
            self.max_epoch = last_number("max_epoch", parsed.message) or self.max_epoch
            self.max_update = last_number("max_update", parsed.message) or self.max_update
            self.described += parsed.message + "\n"
        elif parsed.name == "fairseq.trainer":
            begun = re.fullmatch(r"begin training epoch (\d+)", parsed.message)
            if begun and self.start is None:
                self._begin(int(begun[1]))
        elif inner := entry(parsed, "train_inner"):
            self._inner(inner)
        elif valid := entry(parsed, "valid"):
            self.valid = valid
        elif train := entry(parsed, "train"):
            self._end(train)

    def _begin(self, epoch: int) -> None:
        """Show the first epoch of this run."""
        self.start = self.clock(), (epoch - 1) / self.max_epoch if self.max_epoch else 0.0
        self.show(f"  {self._epoch(epoch)} begins, {parameters(self.described):,} parameters")

    def _inner(self, inner: dict[str, Any]) -> None:
        """Show an update within an epoch."""
        done = self._done(inner["update"], float(inner["num_updates"]))
        if not self.within:  # the first updates are slow, and a resumed epoch does not start at its beginning
            self.within, self.start = True, (self.clock(), done)
        percent = 100 * (inner["update"] - inner["epoch"] + 1)
        epoch = f"  {self._epoch(inner['epoch'])}, {min(percent, 100):3.0f} %"
        speed = f"{float(inner.get('wps', 'nan')):,.0f} tokens/s"
        self._seldom(f"{epoch}   {'training':10s} {_score(inner, '')}   {speed}{self._left(done)}")

    def _end(self, train: dict[str, Any]) -> None:
        """Show the end of an epoch."""
        done = self._done(train["epoch"], float(train["train_num_updates"]))
        prefix, values = ("valid_", self.valid) if self.valid else ("train_", train)
        score = f"{'validation' if self.valid else 'training':10s} {_score(values, prefix)}"
        speed = f"{float(train.get('train_wps', 'nan')):,.0f} tokens/s"
        self._tell(f"  {self._epoch(train['epoch'])}          {score}   {speed}{self._left(done)}")
        self.valid = None

    def _epoch(self, epoch: int) -> str:
        """Return "epoch 3 of 40"; of several data folders, "epoch 3 of 20, folder 7 of 99"."""
        done, folder = divmod(epoch - 1, self.folders)
        last = self.max_epoch // self.folders
        text = f"epoch {done + 1:{len(str(last))}d} of {last}" if last else f"epoch {done + 1}"
        if self.folders == 1:
            return text
        return f"{text}, folder {folder + 1:{len(str(self.folders))}d} of {self.folders}"

    def _done(self, epochs: float, updates: float) -> float:
        """Return the fraction of the training that is done, from 0 to 1; 0 if no end is known."""
        limits = (epochs, self.max_epoch), (updates, self.max_update)
        return max((count / limit for count, limit in limits if limit), default=0.0)

    def _left(self, done: float) -> str:
        """Return the estimated remaining time; "" if it is not known."""
        began, before = self.start or (self.clock(), done)
        seconds = self.clock() - began
        if done >= 1 or done <= before or seconds <= 0:
            return ""
        return f"   {duration((1 - done) * seconds / (done - before))} left"

    def _seldom(self, text: str) -> None:
        """Show `text` unless something was shown in the last EVERY seconds."""
        if self.clock() - self.shown >= EVERY:
            self._tell(text)

    def _tell(self, text: str) -> None:
        """Show `text` and note the time."""
        self.show(text)
        self.shown = self.clock()


def _score(values: dict[str, Any], prefix: str) -> str:
    """Return the perplexity, or the loss if the training criterion has none."""
    if f"{prefix}ppl" in values:
        perplexity = float(values[f"{prefix}ppl"])
        return f"perplexity {perplexity:8.{3 if perplexity < 10 else 2}f}"  # small for characters
    return f"loss {float(values.get(f'{prefix}loss', 'nan')):8.3f}"


def follow(lines: Iterable[str], log: Path) -> list[str]:
    """Append `lines` to `log` as they come, show the progress, and return the last lines of an error."""
    progress = Progress(say)
    with written(log) as file:
        for line in lines:
            file.write(line)
            progress.feed(line)
    return progress.held


def show_error(lines: list[str]) -> None:
    """Print the last lines of a program that failed to stderr."""
    for line in lines:
        say(line, sys.stderr)


def show_all(lines: Iterable[str], log: Path) -> list[str]:
    """Append `lines` to `log` as they come, show all of them, and return none, since all were shown."""
    with written(log) as file:
        for line in lines:
            file.write(line)
            say(line.rstrip("\n"))
    return []


def main() -> None:
    """Run the command line."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # fairseq ends by it, and its last lines must still be read
    sys.stdin.reconfigure(errors="replace")
    show_error(follow(sys.stdin, Path(sys.argv[1])))


if __name__ == "__main__":
    main()
