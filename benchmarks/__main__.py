"""Print a table of times and memory; the first line of each group is the baseline of the others.

    OMP_NUM_THREADS=1 python -m benchmarks --only qrnn --json before.json

Times are medians of interleaved rounds. `faster`, `of CPU` and `memory` are ratios to the group's first line.
`of CPU` is the ratio of processor times, which varies less on a machine with other work to do. `floor` is the
processor time as a multiple of that of the matrix products alone. Memory is the peak of the process less what
it held before, gradients included.

The methods of the other projects are rewritten here. With a clone of their code on the machine, the original
code runs as well:

    python -m benchmarks --only 'QRNN|training step' --peer PATH/awd-lstm-lm --peer PATH/pytorch-qrnn
"""

import argparse
import importlib
import os
import pkgutil
import re
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

import benchmarks
from benchmarks import peer_code
from benchmarks.measure import Group, Results, compare
from lm_plugins.files import write_json
from recipes.environment import git, processor, versions
from recipes.files import check_output


def all_groups(quick: bool, only: str) -> Iterator[tuple[str, Group]]:
    """Iterate over (module, group) of each file in this folder, in alphabetical order."""
    names = [module.name for module in pkgutil.iter_modules(benchmarks.__path__, "benchmarks.")]
    names.remove("benchmarks.__main__")
    for name in names:
        groups = getattr(importlib.import_module(name), "groups", lambda quick: [])
        for group in groups(quick):
            if re.search(only, group.name, re.IGNORECASE):
                yield name, group


def summary(group: Group, results: Results) -> list[dict[str, Any]]:
    """Return a row {column: value} for each case."""
    rows = []
    processor_times = {case: statistics.median(b for _, b in rounds) for case, (_, rounds) in results.items()}
    for case, (peak, rounds) in results.items():
        bottom = processor_times.get(group.floors.get(case))
        seconds, of_processor = (statistics.median(column) for column in zip(*rounds, strict=True))
        peak = max(0.01, peak)  # ratios need a positive number
        first = rows[0] if rows else {"seconds": seconds, "cpu_seconds": of_processor, "peak_mib": peak}
        rows.append(
            {
                "group": group.name,
                "case": case,
                "seconds": seconds,
                "faster": first["seconds"] / seconds,
                "cpu_seconds": of_processor,
                "cpu_faster": first["cpu_seconds"] / of_processor,
                "of_floor": bottom and of_processor / bottom,
                "words_per_second": group.words and group.words / seconds,
                "peak_mib": peak,
                "memory": peak / first["peak_mib"],
            }
        )
    return rows


def show(rows: list[dict[str, Any]]) -> None:
    """Print the rows of a group."""
    print(f"\n{rows[0]['group']}")
    for row in rows:
        words = f"{row['words_per_second']:9,.0f}" if row["words_per_second"] else " " * 9
        of_floor = f"{row['of_floor']:8.2f}" if row["of_floor"] else " " * 8
        times = f"{row['seconds'] * 1000:11.2f}{row['faster']:8.2f}{row['cpu_faster']:8.2f}{of_floor} {words}"
        print(f"  {row['case']:36}{times}{row['peak_mib']:10.1f}{row['memory']:8.2f}", flush=True)


def environment(device: str) -> dict[str, Any]:
    """Return the facts that the times depend on: the commit, the versions, the hardware and its load."""
    return {
        "commit": git("describe", "--always", "--dirty") or "",
        **versions(),
        "cpu": f"{processor()}, {torch.backends.cpu.get_cpu_capability()}",
        **({"gpu": torch.cuda.get_device_name()} if device == "cuda" else {}),
        "threads": torch.get_num_threads(),
        "load": os.getloadavg()[0],  # of other programs, before the first round
        "environ": {k: v for k, v in os.environ.items() if k.startswith(("MALLOC_", "OMP_", "THP_"))},
    }


def main(arguments: list[str] | None = None) -> None:
    """Run the groups that the command line selects, and print their table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--only",
        default="",
        metavar="PATTERN",
        help="run only groups whose name matches this regular expression",
    )
    parser.add_argument("--repeat", type=int, default=7, help="number of timed rounds (default: 7)")
    parser.add_argument("--quick", action="store_true", help="use tiny sizes, to check that everything runs")
    parser.add_argument(
        "--device", choices=["cpu", "cuda"], default="cpu", help="device of the tensors (default: cpu)"
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write the results and the environment to FILE"
    )
    parser.add_argument(
        "--peer",
        type=peer_code.folder,
        action="append",
        default=[],
        metavar="PATH",
        help="clone of awd-lstm-lm or pytorch-qrnn, whose own code is timed as well (repeatable)",
    )
    options = parser.parse_args(arguments)
    if options.json:
        check_output(options.json)
    peer_code.use(options.peer)
    about, rows = environment(options.device), []
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    columns = "".join(f"{name:>8}" for name in ("faster", "of CPU", "floor"))
    print(f"\n{'':38}{'ms':>11}{columns} {'words/s':>9}{'peak MiB':>10}{'memory':>8}")
    for module, group in all_groups(options.quick, options.only):
        rows += summary(group, compare(module, group, options.quick, options.repeat, options.device))
        show([row for row in rows if row["group"] == group.name])
        if options.json:  # after each group, so that an error in a later one loses nothing
            write_json(options.json, {"environment": about, "results": rows})
    if not rows:
        parser.error(f"no group's name matches '{options.only}'")


if __name__ == "__main__":
    main()
