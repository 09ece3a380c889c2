"""The files that an evaluation writes at its end, checked before it starts."""

import os
from pathlib import Path

from lm_plugins.errors import Refused
from lm_plugins.evaluation.cache_options import CacheSettings
from lm_plugins.evaluation.interpolation_options import InterpolationSettings
from lm_plugins.evaluation.results_file import results_file
from lm_plugins.files import check_writable


def check_outputs(
    results_path: str | None,
    subset: str,
    cache: CacheSettings | None,
    interpolation: InterpolationSettings | None = None,
) -> None:
    """Refuse files that cannot be written, or that would overwrite each other.

    Args:
        results_path: folder of the results, which is created; None or "": no results are written
        subset: name of the text
        cache: whose grid is written
        interpolation: whose tuned weights are written

    Raises:
        Refused: see above
    """
    if results_path:
        try:
            os.makedirs(results_path, exist_ok=True)
        except OSError as error:
            raise Refused(
                f"--results-path {results_path} cannot be created ({error.strerror}): give another folder"
            ) from error
        check_writable(results_file(results_path, subset), "--results-path")
    if cache is not None and cache.grid_file is not None:
        plot = plot_file(cache.grid_file)
        if os.path.realpath(plot) == os.path.realpath(cache.grid_file):
            raise Refused(
                f"the plot of --cache-tune {cache.grid_file} would overwrite the results: give a name that "
                "ends in .json"
            )
        for path in (cache.grid_file, plot):
            check_writable(path, "--cache-tune")
    if interpolation is not None and interpolation.file is not None:
        check_writable(interpolation.file, "--interpolate-tune")


def plot_file(grid_file: str) -> Path:
    """Return where the plot of a grid is written, next to its results."""
    return Path(grid_file).with_suffix(".png")
