"""fairseq-eval-lm with a cache, with several streams, and with dynamic evaluation."""

import json
import math
import shutil

import pytest
import torch

from tests.helpers.refusals import refused
from tests.helpers.runner import PLUGIN, evaluate, perplexity, run_fairseq, train

CACHE = ("--cache-window", "60", "--cache-theta", "1.5", "--cache-lambda", "0.2")
MODELS = {
    "lstm": ("awd_lstm_ptb", ()),
    "qrnn": ("qrnn_ptb", ("--output-layer", "adaptive_softmax", "--adaptive-softmax-cutoff", "20")),
    "mos": ("awd_lstm_ptb", ("--output-layer", "mos", "--n-experts", "2")),
}


@pytest.fixture(scope="module")
def checkpoints(data_bin, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for name, (arch, flags) in MODELS.items():
        flags = (*flags, "--max-epoch", "1", "--no-epoch-checkpoints")
        train(data_bin, folder / name, *flags, arch=arch)
    return {name: folder / name / "checkpoint_last.pt" for name in MODELS}


def plain(path, data, subset="test"):
    """Return the model of `path` in float64, and the source and target of `subset`, [N, 1]."""
    from fairseq import checkpoint_utils, tasks
    from omegaconf import OmegaConf

    from lm_plugins.checkpoints import safe_loading
    from lm_plugins.tasks.recurrent_language_modeling import RecurrentLanguageModelingConfig

    cfg = OmegaConf.structured(RecurrentLanguageModelingConfig(_name="recurrent_language_modeling"))
    cfg = OmegaConf.to_container(cfg, resolve=False)
    cfg |= {"data": str(data), "seed": 1, "amp": False, "tpu": False, "dataset_impl": None, "cpu": True}
    cfg |= {"train_subset": "train", "results_path": None, "checkpoint_path": None}
    task = tasks.setup_task(OmegaConf.create(cfg))
    with safe_loading():
        (model,), _ = checkpoint_utils.load_model_ensemble([str(path)], task=task)
    task.load_dataset(subset)
    target = torch.from_numpy(task.dataset(subset).tokens.astype("int64")).unsqueeze(1)
    source = torch.cat([torch.full((1, 1), task.dictionary.eos()), target[:-1]])
    return model.decoder.eval().double(), source, target


@torch.no_grad()
def whole_distribution(path, data, window, theta, weight):
    """Return the perplexity by the definition, from p over all words at every position."""
    from lm_plugins.ops.neural_cache.naive import neural_cache

    decoder, source, target = plain(path, data)
    features, _, _ = decoder.extract_features(source)
    p = decoder.output_head.log_prob(features).exp()
    cache = neural_cache(features, features, target, theta, window, p.size(-1))
    both = (1 - weight) * p + weight * cache
    both[0] = p[0]
    assert (both.sum(-1) - 1).abs().max() < 1e-6
    return math.exp(-both.gather(2, target.unsqueeze(2)).log().mean())


@pytest.fixture(scope="module")
def without(checkpoints, data_bin):
    """Return the evaluation of each model without additional flags."""
    return {name: evaluate(data_bin, checkpoints[name]) for name in ("lstm", "qrnn")}


@pytest.fixture(scope="module")
def cached(checkpoints, data_bin, tmp_path_factory):
    """Return the evaluation of the LSTM with a cache, and the folder of its results."""
    folder = tmp_path_factory.mktemp("results")
    return evaluate(data_bin, checkpoints["lstm"], *CACHE, "--results-path", folder), folder


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("window", ["1", "60", "100000", "0"])
def test_equals_the_whole_distribution(name, window, checkpoints, data_bin):
    if name != "lstm" and window != "60":
        pytest.skip("one window suffices for the others")
    flags = (*CACHE, "--cache-window", window, "--tokens-per-sample", "33")
    printed = perplexity(evaluate(data_bin, checkpoints[name], *flags))
    expected = whole_distribution(checkpoints[name], data_bin, int(window) or None, 1.5, 0.2)
    assert printed == pytest.approx(expected, abs=0.006)


def test_nothing_else_changes_the_number(checkpoints, without, cached, data_bin):
    path, expected = checkpoints["lstm"], perplexity(cached[0])
    for flags in (
        ("--tokens-per-sample", "7"),
        ("--softmax-batch", "9"),
        ("--output-word-probs",),
        ("--eval-streams", "4", "--eval-warmup", "150"),
    ):
        assert perplexity(evaluate(data_bin, path, *CACHE, *flags)) == pytest.approx(expected, abs=0.011), (
            flags
        )
    plain, zero = without["lstm"], evaluate(data_bin, path, *CACHE, "--cache-lambda", "0")
    line = [next(x for x in run.output.splitlines() if " nats, " in x) for run in (plain, zero)]
    nats = [text.split(" targets, ")[1].split(" nats")[0] for text in line]
    assert nats[0] == nats[1] and perplexity(plain) == perplexity(zero) != expected


def test_tuned_on_valid_and_used_on_test(checkpoints, data_bin, tmp_path):
    path, file = checkpoints["lstm"], tmp_path / "cache.json"
    tuned = evaluate(data_bin, path, "--gen-subset", "valid", "--cache-tune", file)
    saved = json.loads(file.read_text())
    flags = tuned.output.split("best: --cache-window")[1].split(" gives")[0].split()
    typed = ("--cache-window", flags[0], *flags[1:])
    for again in (("--cache-from", file), typed):
        run = evaluate(data_bin, path, "--gen-subset", "valid", *again)
        assert perplexity(run) == pytest.approx(saved["perplexity"], abs=0.006)
    assert saved["perplexity"] <= saved["without"] + 1 and "WARNING" not in tuned.output
    missing = evaluate(data_bin, path, "--cache-tune", tmp_path / "missing/cache.json", succeeds=False)
    refused(missing, "missing/cache.json cannot be written (No such file or directory): give a file")
    assert "scored" not in missing.output, "before the pass"
    on_test = evaluate(data_bin, path, "--gen-subset", "test", "--cache-tune", tmp_path / "test.json")
    assert (
        "WARNING: hyper-parameters tuned on 'test' must not be used to report results on it" in on_test.output
    )


def test_the_result_is_written(cached):
    run, folder = cached
    saved = json.loads((folder / "results-test.json").read_text())
    assert saved["perplexity"] == pytest.approx(perplexity(run), abs=0.006)
    assert saved["nats"] == pytest.approx(saved["bits_per_token"] * saved["targets"] * math.log(2))
    assert (
        saved["words_per_second"] > 0 and saved["peak_gib"] > 0 and len(saved["checkpoint"]["sha256"]) == 64
    )
    assert "--cache-window 60" in saved["command"] and "bpc" not in saved


@pytest.mark.parametrize("name", ["lstm", "qrnn"])
def test_dynamic_evaluation_equals_a_plain_loop(name, checkpoints, without, data_bin):
    flags = ("--dynamic-evaluation", "sgd", "--dynamic-lr", "0.3", "--dynamic-decay", "0.01")
    run = evaluate(data_bin, checkpoints[name], *flags, "--tokens-per-sample", "20")
    decoder, source, target = plain(checkpoints[name], data_bin)
    weights, state, nats = list(decoder.parameters()), None, 0.0
    start = [w.detach().clone() for w in weights]
    for s, t in zip(source.split(20), target.split(20), strict=True):
        features, state, _ = decoder.extract_features(s, state)
        state = [tuple(tensor.detach() for tensor in layer) for layer in state]
        nll = -decoder.output_head.log_prob(features).gather(2, t.unsqueeze(2))
        nats += float(nll.detach().sum())
        gradients = torch.autograd.grad(nll.mean(), weights, allow_unused=True)
        with torch.no_grad():
            for w, w0, g in zip(weights, start, gradients, strict=True):
                w += 0.01 * (w0 - w) - (0 if g is None else 0.3 * g)
    assert perplexity(run) == pytest.approx(math.exp(nats / len(target)), abs=0.02)
    assert perplexity(run) < perplexity(without[name]) - 0.1
    assert perplexity(
        evaluate(data_bin, checkpoints[name], *flags, "--tokens-per-sample", "20")
    ) == perplexity(run)


def test_a_grid_of_dynamic_evaluation_on_top_of_a_cache(checkpoints, data_bin):
    flags = ("--dynamic-evaluation", "rms", "--tokens-per-sample", "20", "--dynamic-batches", "5", *CACHE)
    grid = ("--dynamic-lr", "1e-4,1e-3,10", "--dynamic-decay", "0,1e-2", "--gen-subset", "valid")
    searched = evaluate(data_bin, checkpoints["qrnn"], *flags, *grid)
    best = searched.output.split("best: ")[1].split(" gives perplexity ")
    again = evaluate(data_bin, checkpoints["qrnn"], *flags, *best[0].split(), "--gen-subset", "valid")
    assert perplexity(again) == pytest.approx(float(best[1].split()[0]), abs=0.011)
    assert perplexity(again) == perplexity(searched)
    assert "inf" in searched.output.split("lr \\ decay")[1], "no point of the grid diverged"
    wild = evaluate(data_bin, checkpoints["qrnn"], *flags, "--dynamic-lr", "1e4", succeeds=False)
    assert "give a lower --dynamic-lr" in wild.error()


def test_the_gradient_rms_of_all_windows(checkpoints, data_bin, tmp_path):
    """0 takes every window: as many as there are, and more than there are, of all parts of the text."""
    flags = ("--dynamic-evaluation", "rms", "--dynamic-lr", "1e-5", "--tokens-per-sample", "7")
    every, many, few = (
        evaluate(data_bin, checkpoints["lstm"], *flags, "--dynamic-batches", count)
        for count in ("0", "100000", "5")
    )
    assert "gradient RMS on all windows" in every.output
    losses = [run.output.split("Loss (base 2): ")[1].split(",")[0] for run in (every, many, few)]
    assert losses[0] == losses[1] != losses[2]
    parts = shutil.copytree(data_bin, tmp_path / "parts")
    for kind in ("bin", "idx"):
        shutil.copy(data_bin / f"test.{kind}", parts / f"train1.{kind}")
    run = evaluate(parts, checkpoints["lstm"], *flags, "--dynamic-batches", "0")
    assert "parts/train1" in run.output


@pytest.mark.parametrize(
    "flags, sentence",
    [
        (("--cache-window", "5"), "give all three"),
        (("--dynamic-evaluation", "sgd", "--eval-streams", "2"), "leave out --eval-streams"),
        (("--eval-streams", "50"), "lower --eval-streams"),
    ],
)
def test_flags_that_do_not_fit_are_refused(flags, sentence, checkpoints, data_bin):
    """The others are in tests/evaluation/test_options.py and tests/test_ranges.py."""
    refused(evaluate(data_bin, checkpoints["lstm"], *flags, succeeds=False), sentence)


def test_other_programs_refuse_them(checkpoints, data_bin, tmp_path):
    validate = ("validate", data_bin, "--user-dir", PLUGIN, "--path", checkpoints["lstm"], *CACHE)
    refused(run_fairseq(*validate, succeeds=False), "--cache-window applies only to fairseq-eval-lm")
    refused(
        train(data_bin, tmp_path, "--eval-streams", "3", succeeds=False),
        "--eval-streams applies only to fairseq-eval-lm",
    )
