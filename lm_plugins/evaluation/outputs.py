"""The files that an evaluation writes at its end, checked before it starts."""

import os

from lm_plugins.errors import Refused
from lm_plugins.evaluation.cache_options import CacheSettings
from lm_plugins.evaluation.interpolation_options import InterpolationSettings
from lm_plugins.evaluation.results_file import results_file
from lm_plugins.files import check_files
from lm_plugins.grid_picture import picture_file


def check_outputs(
    results_path: str | None,
    subset: str,
    cache: CacheSettings | None,
    interpolation: InterpolationSettings | None = None,
    checkpoint: str | None = None,
) -> None:
    """Refuse files that cannot be written, or that would overwrite each other or a model.

    Args:
        results_path: folder of the results, which is created; None or "": no results are written
        subset: name of the text
        cache: whose grid is written
        interpolation: whose tuned weights are written
        checkpoint: path of the model

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
    outputs = {"--results-path": results_file(results_path, subset) if results_path else None}
    if cache is not None and cache.grid_file is not None:
        plot = picture_file(cache.grid_file)
        if os.path.realpath(plot) == os.path.realpath(cache.grid_file):
            raise Refused(
                f"the plot of --cache-tune {cache.grid_file} would overwrite the results: give a name that "
                "ends in .json"
            )
        outputs |= {"--cache-tune": cache.grid_file, "the plot of --cache-tune": plot}
    models = {"the model": checkpoint}
    if interpolation is not None:
        outputs["--interpolate-tune"] = interpolation.file
        models |= {f"the model {path}": path for path in interpolation.others}
    check_files(outputs, models)
