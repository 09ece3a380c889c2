"""Read fairseq's log."""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

LINE = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) \| (\w+) \| (\S+) \| (.*)", re.DOTALL)
DIVERGED = re.compile("diverged|no longer a finite number")  # how fairseq-train's last line says so
STARTED = re.compile(r"\$ (fairseq-train|torchrun) ")  # the command, which a recipe writes above its output


class Record(NamedTuple):
    time: datetime
    level: str
    name: str
    message: str


def record(line: str) -> Record | None:
    """Return the parts of a line of the log; None for a line that is no record, such as a traceback's."""
    match = LINE.fullmatch(line.rstrip("\n"))
    return match and Record(datetime.fromisoformat(match[1]), *match.groups()[1:])


def entry(line: Record, tag: str) -> dict | None:
    """Return what fairseq logged as JSON under `tag`; None for another line, or one that was cut short."""
    if line.name != tag or not line.message.startswith("{"):
        return None
    try:
        return json.loads(line.message)
    except json.JSONDecodeError:  # the process was killed while it wrote
        return None


def logged(output: str, tag: str) -> list[dict]:
    """Return what fairseq logged as JSON under `tag` ("train", "valid"), a dictionary an epoch."""
    entries = (entry(line, tag) for line in map(record, output.splitlines()) if line)
    return [found for found in entries if found]


def epochs(log: Path, tag: str) -> list[dict]:
    """Return the entries of `tag`, one an epoch; of an epoch that was run twice, the last.

    Each also has "seconds", the time since training started, summed over its restarts. The time between
    a run and the next does not count.
    """
    found = {one["epoch"]: one | {"seconds": seconds} for one, seconds in _timed(log, tag)}
    return [found[epoch] for epoch in sorted(found)]


def _timed(log: Path, tag: str) -> Iterator[tuple[dict, float]]:
    earlier = seconds = 0.0
    began = None
    if not log.exists():
        return
    with open(log, errors="replace") as file:
        for line in file:
            parts = record(line)
            if parts and parts.message == "Start iterating over samples":
                began = began or parts.time
            if parts and began:
                seconds = max(seconds, (parts.time - began).total_seconds())
            if STARTED.search(line):  # also at the end of a line that a killed run cut short
                earlier, seconds, began = earlier + seconds, 0.0, None
            elif parts and (one := entry(parts, tag)):
                yield one, earlier + seconds
