"""What an evaluation writes at its end is opened before it starts."""

import hashlib
import json

import pytest

from lm_plugins.errors import Refused
from lm_plugins.evaluation.cache_options import CacheConfig, cache_settings
from lm_plugins.evaluation.interpolation_options import InterpolationSettings
from lm_plugins.evaluation.outputs import check_outputs
from lm_plugins.evaluation.report import Report
from lm_plugins.evaluation.results_file import identified
from lm_plugins.evaluation.tally import Tally


@pytest.mark.parametrize(
    ("results", "tune", "sentence"),
    [
        (None, None, None),
        ("new/folder", "cache.json", None),
        (None, "cache", None),
        (None, "missing/cache.json", "--cache-tune missing/cache.json cannot be written .No such file"),
        (None, "folder", "--cache-tune folder cannot be written .Is a directory"),
        (None, "cache.png", "the plot of --cache-tune cache.png would overwrite the results"),
        (None, "folder/../cache.png", "would overwrite the results"),
        (None, "plot.json", "the plot of --cache-tune plot.png cannot be written .Is a directory"),
        ("file/results", None, "--results-path file/results cannot be created .Not a directory"),
        ("file", None, "--results-path file cannot be created .File exists"),
        ("folder", "folder/results-valid.json", "--cache-tune .* would overwrite --results-path"),
        (None, "model.pt", "--cache-tune model.pt would overwrite the model"),
        ("taken", None, "--results-path taken/results-valid.json cannot be written .Is a directory"),
    ],
)
def test_outputs_are_opened_before_the_work(tmp_path, monkeypatch, results, tune, sentence):
    monkeypatch.chdir(tmp_path)
    for folder in ("folder", "plot.png", "taken/results-valid.json"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "file").touch()
    cache = cache_settings(CacheConfig(cache_tune=tune)) if tune else None
    if sentence is None:
        check_outputs(results, "valid", cache, checkpoint="model.pt")
    else:
        with pytest.raises(Refused, match=sentence):
            check_outputs(results, "valid", cache, checkpoint="model.pt")
    models = InterpolationSettings(("b.pt",), "kn.arpa", None, "kn.arpa")
    with pytest.raises(Refused, match="--interpolate-tune kn.arpa would overwrite the model kn.arpa"):
        check_outputs(None, "valid", None, models)
    assert {path.name for path in tmp_path.iterdir()} - {"new"} == {"folder", "plot.png", "taken", "file"}


def test_the_digest_is_of_the_checkpoint_that_was_read(tmp_path):
    """Training that is still running replaces the file while it is evaluated."""
    checkpoint = tmp_path / "checkpoint_best.pt"
    checkpoint.write_text("read")
    report = Report("test", None, None, str(tmp_path), identified(str(checkpoint)))
    checkpoint.write_text("trained further")
    report.finish(Tally(targets=1, nats=1.0), 1.0, {})
    saved = json.loads((tmp_path / "results-test.json").read_text())["checkpoint"]
    assert saved == {"path": str(checkpoint), "sha256": hashlib.sha256(b"read").hexdigest()}
