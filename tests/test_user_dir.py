"""A user-dir from another folder, with classes of its own wherever the package has a contract."""

import pytest
import torch

from lm_plugins.score import main
from tests.helpers.checkpoints import load, same_weights
from tests.helpers.plugin import write_plugin
from tests.helpers.runner import perplexity, run_fairseq

SOURCE = '''
from dataclasses import dataclass, field
from typing import List, NamedTuple

import torch
from fairseq.dataclass import FairseqDataclass
from fairseq.models import register_model
from fairseq.optim import FairseqOptimizer, register_optimizer
from omegaconf import II
from lm_plugins.architectures import Architecture
from lm_plugins.models.decoder_config import RecurrentDecoderConfig
from lm_plugins.models.recurrent_language_model import RecurrentLanguageModel
from lm_plugins.modules.recurrent_layer import RecurrentLayer


class Memory(NamedTuple):
    mean: torch.Tensor
    age: torch.Tensor  # an integer for each stream


class Layer(RecurrentLayer):
    """The mean of the last inputs."""

    def __init__(self, n_in, n_out, size):
        super().__init__()
        self.size, self.project = size, torch.nn.Linear(n_in, n_out)

    def initial_state(self, batch_size):
        zeros = self.project.weight.new_zeros(batch_size, self.project.out_features)
        return Memory(zeros, zeros.new_zeros(batch_size, dtype=torch.long))

    def forward(self, x, state=None, reset=None):
        mean, age = state or self.initial_state(x.size(1))
        outputs = []
        for y in self.project(x):
            age = age + 1
            mean = mean + (y - mean) / age.clamp(max=self.size).unsqueeze(-1)
            outputs.append(torch.tanh(mean))
        return torch.stack(outputs), Memory(mean, age)


@dataclass
class MeanConfig(RecurrentDecoderConfig):
    memory_size: int = field(default=9, metadata={"help": "number of inputs"})
    quick: bool = False
    fp16: bool = II("common.fp16")


@register_model("mean", dataclass=MeanConfig)
class Mean(RecurrentLanguageModel):
    config = MeanConfig

    @classmethod
    def build_layer(cls, cfg, index, n_in, n_out):
        return Layer(n_in, n_out, cfg.memory_size)


class AveragedAdam(torch.optim.Adam):
    def __init__(self, params, lr):
        super().__init__(params, lr=lr)
        self.averaged, self.other, self.shown, self.loaded = 0, None, False, False

    def parameters(self):
        return [p.data for group in self.param_groups for p in group["params"]]

    def step(self, closure=None):
        super().step(closure)
        self.averaged += 1
        if self.other is None:
            self.other = [p.clone() for p in self.parameters()]
        else:
            torch._foreach_lerp_(self.other, self.parameters(), weight=1 / self.averaged)

    def show(self, average):
        changed, self.loaded = self.loaded, False
        if self.other is not None and self.shown != average:
            for p, other in zip(self.parameters(), self.other):
                shown = p.clone()
                p.copy_(other)
                other.copy_(shown)
            self.shown, changed = average, True
        return changed

    def state_dict(self):
        shown = self.parameters()
        iterates, averages = (self.other, shown) if self.shown else (shown, self.other)
        return {**super().state_dict(), "averaged": self.averaged, "iterates": iterates, "averages": averages}

    def load_state_dict(self, saved):
        super().load_state_dict({name: saved[name] for name in ("state", "param_groups")})
        for p, iterate in zip(self.parameters(), saved["iterates"]):
            p.copy_(iterate)
        self.averaged, self.other = saved["averaged"], [average.clone() for average in saved["averages"]]
        self.shown, self.loaded = False, True


@dataclass
class AveragedAdamConfig(FairseqDataclass):
    lr: List[float] = II("optimization.lr")


@register_optimizer("averaged_adam", dataclass=AveragedAdamConfig)
class FairseqAveragedAdam(FairseqOptimizer):
    def __init__(self, cfg, params):
        super().__init__(cfg)
        self._optimizer = AveragedAdam(params, **self.optimizer_config)

    @property
    def optimizer_config(self):
        return {"lr": self.cfg.lr[0]}


Architecture(
    "mean_small",
    Mean,
    options={
        "decoder_embed_dim": 8, "decoder_hidden_size": 8, "decoder_layers": 2,
        "memory_size": 5000, "quick": True,
    },
    training={"--optimizer": "sgd", "--lr": "1", "--batch-size": "4", "--max-epoch": "9"},
    regimes={"averaged": {"--optimizer": "averaged_adam", "--lr": "0.01", "--batch-size": "4"}},
)
'''


@pytest.fixture(scope="module")
def plugin(tmp_path_factory):
    return write_plugin(tmp_path_factory.mktemp("elsewhere"), SOURCE)


@pytest.fixture(scope="module")
def trained(plugin, data_bin, tmp_path_factory):
    """Return a folder with the checkpoints of a training, and of one that was resumed after 30 updates."""
    folder = tmp_path_factory.mktemp("trained")

    def train(save_dir, updates):
        run_fairseq(
            "train", data_bin, "--user-dir", plugin, "--cpu", "--arch", "mean_small", "--regime", "averaged",
            "--no-quick", "--tokens-per-sample", "10", "--no-progress-bar", "--save-dir", folder / save_dir,
            "--max-update", updates,
        )  # fmt: skip

    train("whole", 50)
    train("parts", 30)
    train("parts", 50)
    return folder


def test_a_training_resumes_with_its_average(trained):
    """A checkpoint holds the average, which is what was validated."""
    whole = trained / "whole/checkpoint_last.pt"
    assert same_weights(whole, trained / "parts/checkpoint_last.pt")
    saved = load(whole)
    assert saved["cfg"]["model"]["quick"] is False and saved["cfg"]["task"]["regime"] == "averaged"
    average, iterate = (saved["last_optimizer_state"][name][0] for name in ("averages", "iterates"))
    assert torch.equal(saved["model"]["decoder.embed_tokens.weight"], average)
    assert not torch.equal(average, iterate)


def test_a_model_is_evaluated_and_scored(plugin, trained, data_bin, corpus, capsys):
    """An option of its own that is larger than every weight is no sign of an altered checkpoint."""
    path = trained / "whole/checkpoint_best.pt"
    run = run_fairseq("eval-lm", data_bin, "--user-dir", plugin, "--path", path, "--cpu")
    main(
        ["--user-dir", str(plugin), "--path", str(path), "--data", str(data_bin), "--cpu", "--carry"]
        + [str(corpus / "test.txt")]
    )
    assert float(capsys.readouterr().err.split("perplexity ")[1].split(",")[0]) == pytest.approx(
        perplexity(run), abs=0.01
    )


def test_no_other_regime_and_no_average_to_return_to(plugin, data_bin):
    flags = ("--user-dir", plugin, "--cpu", "--arch", "mean_small", "--no-save", "--max-update", "2")
    run = run_fairseq("train", data_bin, *flags, "--regime", "other", succeeds=False)
    assert "--arch mean_small has no --regime other" in run.error()
    flags = (*flags, "--regime", "averaged", "--lr-scheduler", "rollback")
    run = run_fairseq("train", data_bin, *flags, succeeds=False)
    assert "rollback would return to an average of the optimizer" in run.error()
