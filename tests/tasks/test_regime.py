"""The training regime through fairseq-train: NT-ASGD, variable windows, fine-tuning, resume."""

import pytest
import torch

from lm_plugins.data.windows import cut, varied
from recipes.logs import logged
from tests.helpers.checkpoints import load, optimizer_state, same_optimizer, same_weights
from tests.helpers.corpus import binarize, write_corpus
from tests.helpers.kill import kill_after
from tests.helpers.plain_model import (
    NO_DROPOUT,
    NO_REGULARISATION,
    PlainModel,
    plain_epoch,
    streams,
    tokens_of,
)
from tests.helpers.runner import TINY, Run, evaluate, perplexity, start_ranks, train, train_ranks

DECAY = ("--weight-decay", "1e-4")
NT_ASGD = ("--optimizer", "nt_asgd", "--lr", "4")
VARIED = ("--bptt-variation", "5", "--bptt-max-delta", "6")


class PaperLoop:
    """The paper's algorithm for one stream of windows, written out: SGD, trigger, average."""

    def __init__(self, weights, tokens, valid):
        self.model, self.tokens, self.valid = PlainModel(weights), tokens, valid
        self.history, self.average, self.count, self.triggered = [], None, 0, False

    def epoch(self, number, lr=1.0, decay=1e-4, base=10, rows=4):
        source, target = streams(self.tokens, rows)
        state = [None] * len(self.model.layers)
        params = list(self.model.parameters())
        for _, start, length, _ in cut(len(source), varied(len(source), base, 5, 6, seed=3, epoch=number)):
            logits, state = self.model(source[start : start + length], state)
            expected = target[start : start + length].flatten()
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), expected, ignore_index=1)
            gradients = torch.autograd.grad(loss, params)
            norm = torch.stack([g.norm() for g in gradients]).norm()
            clip = min(1.0, 0.25 / float(norm + 1e-6))
            with torch.no_grad():
                for p, g in zip(params, gradients, strict=True):
                    p -= lr * length / base * (clip * g + decay * p)
                if self.triggered:
                    self.count += 1
                    if self.count == 1:
                        self.average = [p.clone() for p in params]
                    else:
                        self.average = [
                            a + (p - a) / self.count for a, p in zip(self.average, params, strict=True)
                        ]
        return self.validate(params)

    @torch.no_grad()
    def validate(self, params):
        raw = [p.clone() for p in params]
        if self.average:
            for p, a in zip(params, self.average, strict=True):
                p.copy_(a)
        bits = plain_epoch(self.model, self.valid, 4, 10)
        for p, r in zip(params, raw, strict=True):
            p.copy_(r)
        self.triggered |= bool(self.history) and bits > min(self.history)  # nonmono 0
        self.history.append(bits)
        return bits


def test_equals_the_papers_algorithm_before_and_after_the_trigger(data_bin, tmp_path):
    """From a trained model on, where the validation loss soon goes up: overfitting triggers."""
    plain = (*NO_DROPOUT, *NO_REGULARISATION, *VARIED)
    only_the_end = ("--disable-validation", "--no-epoch-checkpoints")
    train(data_bin, tmp_path / "start", "--max-epoch", "14", *plain, "--lr", "4", *only_the_end)
    start = tmp_path / "start/checkpoint_last.pt"
    options = ("--finetune-from-model", start, "--averaging", "triggered", "--nonmono", "0")
    finished = train(data_bin, tmp_path, "--max-epoch", "5", *plain, *NT_ASGD, *options, "--lr", "1", *DECAY)
    loop = PaperLoop(load(start)["model"], tokens_of(data_bin, "train"), tokens_of(data_bin, "valid"))
    valid = logged(finished.output, "valid")
    for number in range(1, 6):
        assert float(valid[number - 1]["valid_loss"]) == pytest.approx(loop.epoch(number), abs=2e-5)
    averaging = [int(float(epoch["valid_averaging"])) for epoch in valid]
    assert averaging[0] == 0 and averaging[-1] == 1, "both phases were seen"
    assert finished.output.count("averaging starts") == 1
    saved = optimizer_state(tmp_path / "checkpoint_last.pt")
    assert saved["averaged"] == loop.count
    assert saved["history"] == pytest.approx(loop.history, abs=2e-5)


REGIME = (
    *NT_ASGD, *DECAY, *VARIED, "--update-freq", "2", "--nonmono", "4", "--max-epoch", "3", "--lr", "8",
    "--save-interval-updates", "20", "--keep-interval-updates", "1", "--validate-interval-updates", "20",
)  # fmt: skip


@pytest.fixture(scope="module")
def regime(data_bin, tmp_path_factory):
    """A run through both phases, with a checkpoint in the middle of each epoch."""
    folder = tmp_path_factory.mktemp("regime")
    finished = train(data_bin, folder, *REGIME, "--keep-interval-updates", "-1")
    averaged = [optimizer_state(folder / f"checkpoint{epoch}.pt")["averaged"] for epoch in range(1, 4)]
    assert None in averaged and averaged[-1] > 50, averaged
    return folder, finished, averaged


def test_a_run_killed_in_either_phase_resumes_bitwise(data_bin, regime, tmp_path):
    whole, _, averaged = regime
    middle = sorted(whole.glob("checkpoint_*_*.pt"), key=lambda p: int(p.stem.split("_")[2]))
    before = [path for path in middle if optimizer_state(path)["averaged"] is None][-1]
    after = [path for path in middle if optimizer_state(path)["averaged"]][1]
    for number, checkpoint in enumerate((before, after)):
        killed = tmp_path / str(number)
        run = Run("train", data_bin, "--arch", "awd_lstm_ptb", *TINY, "--save-dir", killed, *REGIME)
        kill_after([run], killed / checkpoint.name)
        train(data_bin, killed, *REGIME)
        assert same_weights(whole / "checkpoint_last.pt", killed / "checkpoint_last.pt")
        assert same_optimizer(whole / "checkpoint_last.pt", killed / "checkpoint_last.pt")


def test_a_checkpoint_evaluates_to_what_was_logged(data_bin, regime):
    """The averages are in the checkpoint, and the iterates in its optimizer state."""
    folder, finished, _ = regime
    ends = [e for e in logged(finished.output, "valid")]
    by_update = {int(e["valid_num_updates"]): float(e["valid_ppl"]) for e in ends}
    for name in ("checkpoint1.pt", "checkpoint3.pt", "checkpoint_best.pt"):
        path = folder / name
        updates = load(path)["optimizer_history"][-1]["num_updates"]
        ppl = perplexity(evaluate(data_bin, path, "--gen-subset", "valid", "--batch-size", "4"))
        assert ppl == pytest.approx(by_update[updates], abs=0.006)
    saved = load(folder / "checkpoint3.pt")
    iterates = saved["last_optimizer_state"]["iterates"]
    averages = saved["last_optimizer_state"]["averages"]
    shown = saved["model"]["decoder.embed_tokens.weight"]
    assert any(torch.equal(shown, average) for average in averages)
    assert not any(torch.equal(shown, iterate) for iterate in iterates if iterate.shape == shown.shape)


def test_a_checkpoint_that_was_not_validated_holds_the_average_too(data_bin, tmp_path):
    options = (*NT_ASGD, "--averaging", "always", "--max-epoch", "1", "--disable-validation")
    train(data_bin, tmp_path, *options)
    saved = load(tmp_path / "checkpoint_last.pt")
    shown = saved["model"]["decoder.embed_tokens.weight"]
    assert any(torch.equal(shown, average) for average in saved["last_optimizer_state"]["averages"])


def test_two_processes_decide_and_average_alike(data_bin, tmp_path):
    options = (*NT_ASGD, *VARIED, "--nonmono", "0", "--max-epoch", "4", "--lr", "1", "--averaging", "always")
    one = train(data_bin, tmp_path / "one", *options)
    two = train_ranks(2, data_bin, tmp_path / "two", *options, "--batch-size", "2")
    for a, b in zip(logged(one.output, "valid"), logged(two.output, "valid"), strict=True):
        assert float(a["valid_loss"]) == pytest.approx(float(b["valid_loss"]), abs=1e-5)
    ppl = float(logged(two.output, "valid")[-1]["valid_ppl"])
    path = tmp_path / "two/checkpoint_last.pt"
    again = evaluate(data_bin, path, "--gen-subset", "valid", "--batch-size", "4")
    assert perplexity(again) == pytest.approx(ppl, abs=0.006)


def test_two_killed_processes_resume_bitwise(data_bin, tmp_path):
    options = (*REGIME, "--batch-size", "2")
    train_ranks(2, data_bin, tmp_path / "whole", *options)
    killed = tmp_path / "killed"
    kill_after(start_ranks(2, data_bin, killed, *options), killed / "checkpoint_3_180.pt")
    assert optimizer_state(killed / "checkpoint_last.pt")["averaged"] is not None
    train_ranks(2, data_bin, killed, *options)
    assert same_weights(tmp_path / "whole/checkpoint_last.pt", killed / "checkpoint_last.pt")
    assert same_optimizer(tmp_path / "whole/checkpoint_last.pt", killed / "checkpoint_last.pt")


def test_fine_tuning_averages_from_the_start_and_ends_by_the_rule(data_bin, regime, tmp_path):
    """It takes one more flag; a finished run that is started again does nothing."""
    folder, _, _ = regime
    options = ("--finetune-from-model", folder / "checkpoint3.pt", *NT_ASGD, "--nonmono", "0")
    finished = train(data_bin, tmp_path, "--max-epoch", "40", *options, "--lr", "20")
    valid = logged(finished.output, "valid")
    losses = [float(epoch["valid_loss"]) for epoch in valid]
    assert len(valid) < 40 and losses[-1] > min(losses) and losses[:-1] == sorted(losses[:-1], reverse=True)
    assert {int(float(epoch["valid_averaging"])) for epoch in valid} == {1}
    assert "training stops after this epoch" in finished.output
    before = load(tmp_path / "checkpoint_last.pt")["optimizer_history"][-1]["num_updates"]
    train(data_bin, tmp_path, "--max-epoch", "40", *options, "--lr", "20")
    assert load(tmp_path / "checkpoint_last.pt")["optimizer_history"][-1]["num_updates"] == before


def test_a_decayed_rate_is_in_the_checkpoint_of_its_epoch(data_bin, tmp_path):
    """A run that ends after epoch 2 and is continued equals one that never stopped."""
    options = (
        "--validate-interval-updates",
        "20",
        "--lr-scheduler",
        "plateau",
        "--lr-patience",
        "1",
        "--lr-shrink",
        "0.8",
        "--lr",
        "8",
    )
    whole = train(data_bin, tmp_path / "whole", *options, "--max-epoch", "3")
    train(data_bin, tmp_path / "parts", *options, "--max-epoch", "2")
    train(data_bin, tmp_path / "parts", *options, "--max-epoch", "3")
    rates = {float(epoch["train_lr"]) for epoch in logged(whole.output, "train")}
    assert len(rates) > 1, "the rate has fallen"
    assert same_weights(tmp_path / "whole/checkpoint_last.pt", tmp_path / "parts/checkpoint_last.pt")


def test_tensorboard_shows_the_run(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for text in write_corpus(tmp_path, lines=(100, 20, 20)):  # characters, so that bpc is shown
        text.write_text("\n".join(" ".join(line.replace(" ", "_")) for line in text.read_text().splitlines()))
    train(
        binarize(tmp_path), tmp_path / "run", *NT_ASGD, "--max-epoch", "1", "--log-interval", "10",
        "--tensorboard-logdir", tmp_path / "board", "--text-level", "underscore",
    )  # fmt: skip
    shown = {}
    for part in ("train_inner", "train", "valid"):
        events = EventAccumulator(str(tmp_path / "board" / part)).Reload()
        shown[part] = {tag: events.Scalars(tag)[-1].value for tag in events.Tags()["scalars"]}
    both = {"loss", "ppl", "bpc", "reg", "wps", "averaging", "peak_gib"}
    assert both | {"lr", "gnorm"} <= set(shown["train_inner"]) & set(shown["train"])
    assert both <= set(shown["valid"])
    assert shown["train"]["lr"] == 4 and shown["train"]["averaging"] == 0
    assert 0.1 < shown["train"]["peak_gib"] < 10
