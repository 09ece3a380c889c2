"""Training does not start from scratch where a checkpoint was named."""

from types import SimpleNamespace

import pytest

from lm_plugins.errors import Refused
from lm_plugins.tasks.starting_point import LAST, RESETS, check_starting_point
from tests.helpers.refusals import files, refused
from tests.helpers.runner import train


def options(**typed):
    unset = {"restore_file": LAST, "finetune_from_model": None, "continue_once": None}
    return SimpleNamespace(**{**unset, **dict.fromkeys(RESETS, False), **typed})


@pytest.mark.parametrize("name", ["restore_file", "finetune_from_model", "continue_once"])
def test_a_checkpoint_that_does_not_exist(name, tmp_path):
    (tmp_path / "there.pt").touch()
    check_starting_point(options(**{name: str(tmp_path / "there.pt")}))
    check_starting_point(options())
    for path in (str(tmp_path / "none.pt"), ""):
        with pytest.raises(Refused, match=f"--{name.replace('_', '-')} .* does not exist"):
            check_starting_point(options(**{name: path}))


def test_fine_tuning_resets_by_itself(tmp_path):
    base = tmp_path / "base.pt"
    base.touch()
    with pytest.raises(Refused, match="implies --reset-optimizer"):
        check_starting_point(options(finetune_from_model=str(base), reset_optimizer=True))
    with pytest.raises(Refused, match="exclude each other"):
        check_starting_point(options(finetune_from_model=str(base), restore_file=str(base)))


def test_nothing_is_trained(data_bin, tmp_path):
    for flag in ("--restore-file", "--finetune-from-model"):
        finished = train(data_bin, tmp_path / "new", flag, tmp_path / "none.pt", succeeds=False)
        refused(finished, f"{flag} {tmp_path}/none.pt does not exist")
    assert not files(tmp_path)
