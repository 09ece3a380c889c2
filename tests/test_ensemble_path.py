"""--path a:b of fairseq-eval-lm becomes an interpolation."""

import pytest

from lm_plugins.ensemble_path import split_ensemble
from lm_plugins.errors import Refused

TASK = ["--task", "recurrent_language_modeling"]


def test_the_first_model_is_the_path():
    command = ["fairseq-eval-lm", "data", "--path", "a.pt:b.pt:c.pt", *TASK]
    assert split_ensemble(command) == [*command, "--path", "a.pt", "--interpolate-with", "b.pt:c.pt"]


@pytest.mark.parametrize(
    "command",
    [
        ["fairseq-eval-lm", "data", "--path", "a.pt", *TASK],
        ["fairseq-eval-lm", "data", "--path", "a.pt:b.pt", "--task", "language_modeling"],
        ["fairseq-generate", "data", "--path", "a.pt:b.pt", *TASK],
    ],
)
def test_other_commands_are_left_alone(command):
    assert split_ensemble(command) == command


def test_a_file_of_the_whole_name_is_one_model(tmp_path):
    (tmp_path / "a:b.pt").touch()
    command = ["fairseq-eval-lm", "data", "--path", str(tmp_path / "a:b.pt"), *TASK]
    assert split_ensemble(command) == command


@pytest.mark.parametrize("path", ["a.pt:", ":b.pt", "a.pt::b.pt"])
def test_an_empty_name_is_refused(path):
    """An unset shell variable gives such a name; one model would be evaluated as a mixture of two."""
    with pytest.raises(Refused, match=f"--path {path} has an empty name next to a colon"):
        split_ensemble(["fairseq-eval-lm", "data", "--path", path, *TASK])


def test_models_in_both_ways_are_refused():
    with pytest.raises(Refused, match="give all of them in --path"):
        split_ensemble(["fairseq-eval-lm", "data", "--path", "a:b", "--interpolate-with", "c", *TASK])
