"""What importing the package changes in a process: nothing, or in fairseq's programs what they need."""

import pickle
import subprocess
import sys
import textwrap

import pytest
import torch
from fairseq.models import ARCH_MODEL_REGISTRY

from lm_plugins import program
from lm_plugins.completion import complete
from lm_plugins.errors import Refused
from lm_plugins.program import UnreadCommandLine
from tests.helpers.runner import PLUGIN, ROOT, TINY, run_fairseq, train

SNAPSHOTS = """
import logging, os, sys, warnings
import torch
import fairseq.hub_utils, fairseq.tasks, fairseq.models, fairseq.criterions, fairseq.optim, fairseq.options

def snapshot():
    loggers = [logging.getLogger(), *map(logging.getLogger, sorted(logging.root.manager.loggerDict))]
    return {
        "environment": dict(os.environ),
        "command line": (type(sys.argv), list(sys.argv)),
        "hooks": (sys.excepthook, sys.displayhook),
        "filters": list(warnings.filters),
        "levels": {logger.name: logger.level for logger in loggers if logger.level},
        "log filters": {logger.name: list(logger.filters) for logger in loggers if logger.filters},
        "handlers": {logger.name: list(logger.handlers) for logger in loggers if logger.handlers},
        "precision": torch.get_float32_matmul_precision(),
        "unpickled": set(torch.serialization.get_safe_globals()),
        "random state": torch.get_rng_state().tolist(),
    }

torch.set_float32_matmul_precision("high")
before = snapshot()
import lm_plugins
import lm_plugins.hub
after = {"import": snapshot()}
lm_plugins.hub.load(sys.argv[1])
after["load"] = snapshot()
for step, state in after.items():
    for name, value in before.items():
        assert value == state[name], (step, name, value, state[name])
"""


def test_an_import_and_a_loaded_model_leave_the_process_as_it_was(data_bin, tmp_path):
    train(data_bin, tmp_path, "--max-update", "1")
    program = [sys.executable, "-c", SNAPSHOTS, str(tmp_path / "checkpoint_last.pt"), "--arch", "qrnn_ptb"]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_other_programs_are_not_prepared(monkeypatch):
    argv = ["notebook.py", "--arch", "qrnn_ptb"]
    monkeypatch.setattr(sys, "argv", argv)
    program.prepare()
    assert sys.argv is argv


def test_the_command_line_is_completed_when_it_is_read(monkeypatch):
    argv = ["fairseq-train", "data", "--arch", "qrnn_registered_later", "--batch-size", "2"]
    monkeypatch.setattr(sys, "argv", UnreadCommandLine(argv))
    assert (sys.argv[0], len(sys.argv), list(sys.argv)) == ("fairseq-train", 6, argv)
    monkeypatch.setitem(ARCH_MODEL_REGISTRY, "qrnn_registered_later", ARCH_MODEL_REGISTRY["qrnn"])
    read = sys.argv[1:]
    assert read == complete(argv)[1:] and "recurrent_language_modeling" in read
    assert type(sys.argv) is list and sys.argv[1:] == read


def test_a_spawned_process_gets_a_plain_list():
    """It unpickles ``sys.argv`` before it can import this package."""
    copy = pickle.dumps(UnreadCommandLine(["fairseq-train", "data"]))
    assert b"lm_plugins" not in copy and pickle.loads(copy) == ["fairseq-train", "data"]


def test_a_misspelt_arch_is_refused_once_everything_is_registered(monkeypatch):
    monkeypatch.setattr(sys, "argv", UnreadCommandLine(["fairseq-train", "data", "--arch", "qrnn_pbt"]))
    with pytest.raises(Refused, match="did you mean qrnn_ptb"):
        sys.argv[1:]


PLUGIN_OF_A_STRANGER = {
    "__init__.py": """
        import lm_plugins
        from fairseq.models import register_model_architecture

        register_model_architecture("transformer_lm", "transformer_stranger")(lambda cfg: None)
        """,
    "models/qrnn_stranger.py": """
        from dataclasses import dataclass

        from fairseq.models import register_model
        from lm_plugins.models.qrnn import QRNN, QRNNConfig


        @dataclass
        class StrangersConfig(QRNNConfig):
            decoder_embed_dim: int = 24


        @register_model("qrnn_stranger", dataclass=StrangersConfig)
        class StrangersQRNN(QRNN):
            config = StrangersConfig
        """,
    "tasks/strangers_task.py": """
        from fairseq.tasks import register_task
        from lm_plugins.tasks.recurrent_language_modeling import (
            RecurrentLanguageModelingConfig,
            RecurrentLanguageModelingTask,
        )


        @register_task("strangers_task", dataclass=RecurrentLanguageModelingConfig)
        class StrangersTask(RecurrentLanguageModelingTask):
            pass
        """,
}


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    """Return the user-dir of somebody who builds on this package."""
    folder = tmp_path_factory.mktemp("elsewhere") / "stranger"
    for name, code in PLUGIN_OF_A_STRANGER.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(textwrap.dedent(code))
    return folder


def test_a_user_dir_that_builds_on_this_one_trains_and_evaluates(data_bin, stranger, tmp_path):
    flags = [str(stranger) if flag == PLUGIN else flag for flag in TINY]
    flags += ["--max-update", "2", "--save-dir", str(tmp_path)]
    finished = run_fairseq("train", data_bin, "--arch", "qrnn_stranger", *flags)
    assert "completed command" in finished.output
    path = tmp_path / "checkpoint_last.pt"
    evaluated = run_fairseq("eval-lm", data_bin, "--user-dir", stranger, "--path", path)
    assert "Perplexity" in evaluated.output

    flags += ["--task", "strangers_task", "--reset-dataloader", "--max-update", "4"]
    run_fairseq("train", data_bin, "--arch", "qrnn_stranger", *flags)
    assert torch.load(path, weights_only=False)["cfg"]["task"]["_name"] == "strangers_task"
    evaluated = run_fairseq("eval-lm", data_bin, "--user-dir", stranger, "--path", path)
    assert "--task strangers_task" in evaluated.output and "Perplexity" in evaluated.output


def test_its_other_models_are_left_to_fairseq(data_bin, stranger, tmp_path):
    finished = run_fairseq(
        "train", data_bin, "--user-dir", stranger, "--arch", "transformer_stranger", "--task",
        "language_modeling", "--decoder-embed-dim", 8, "--decoder-layers", 1, "--decoder-attention-heads", 1,
        "--decoder-ffn-embed-dim", 8, "--tokens-per-sample", 20, "--batch-size", 8, "--max-update", 1,
        "--cpu", "--optimizer", "adam", "--lr", "0.1", "--save-dir", tmp_path, "--no-progress-bar",
    )  # fmt: skip
    assert "completed" not in finished.output
    evaluation = (
        "eval-lm", data_bin, "--user-dir", stranger, "--path", tmp_path / "checkpoint_last.pt",
        "--tokens-per-sample", 20,
    )  # fmt: skip
    # A file alone does not decide that another model is built: the user has to name its task.
    refused = run_fairseq(*evaluation, succeeds=False)
    assert "names the task 'language_modeling'" in refused.output
    evaluated = run_fairseq(*evaluation, "--task", "language_modeling")
    assert "completed" not in evaluated.output and "Perplexity" in evaluated.output


@pytest.mark.parametrize(
    "command, options",
    [
        (("train", "--arch", "qrnn_ptb"), ("--zoneout", "--bptt-variation", "--ar-alpha", "--nonmono")),
        (("eval-lm",), ("--cache-window", "--dynamic-lr", "--results-path")),
        (("train",), ("--arch", "--save-dir")),
    ],
)
def test_help_has_the_options_of_what_was_chosen(command, options):
    finished = run_fairseq(*command, "--user-dir", PLUGIN, "--help")
    assert all(f"  {option}" in finished.output for option in options), finished.output
