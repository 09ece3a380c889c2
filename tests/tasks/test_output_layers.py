"""Every output layer trains, resumes and evaluates through fairseq."""

import shutil

import pytest

from recipes.logs import logged
from tests.helpers.checkpoints import largest_difference, same_weights
from tests.helpers.corpus import write_corpus
from tests.helpers.refusals import files, refused
from tests.helpers.runner import evaluate, perplexity, run_fairseq, train, train_ranks

MIXTURE = ("--criterion", "mos", "--n-experts", "3", "--latent-dropout", "0.2", "--decoder-last-size", "9")
ADAPTIVE = ("--criterion", "adaptive_softmax", "--adaptive-softmax-cutoff", "20,50")
UNTIED = (*ADAPTIVE, "--no-share-decoder-input-output-embed", "--adaptive-softmax-factor", "2")
FACTORISED = ("--no-share-decoder-input-output-embed", "--output-rank", "5")
LAYERS = {"mos": MIXTURE, "adaptive": ADAPTIVE, "untied adaptive": UNTIED, "factorised": FACTORISED}


@pytest.fixture(scope="module", params=LAYERS)
def trained(request, data_bin, tmp_path_factory):
    """(flags, folder of checkpoints, the run) of a model trained for two epochs."""
    folder, flags = tmp_path_factory.mktemp("layer"), LAYERS[request.param]
    return flags, folder, train(data_bin, folder, *flags, "--max-epoch", "2")


def test_it_learns_and_evaluates_to_what_was_logged(trained, data_bin):
    _, folder, run = trained
    first, last = (float(epoch["valid_ppl"]) for epoch in logged(run.output, "valid"))
    assert last < min(first, 60), "no better than a uniform distribution over the 60 words"
    path = folder / "checkpoint_last.pt"
    again = evaluate(data_bin, path, "--gen-subset", "valid", "--batch-size", "4")
    assert perplexity(again) == pytest.approx(last, abs=0.006)


def test_it_resumes_bitwise(trained, data_bin, tmp_path):
    flags, folder, _ = trained
    shutil.copy(folder / "checkpoint1.pt", tmp_path / "checkpoint_last.pt")
    train(data_bin, tmp_path, *flags, "--max-epoch", "2")
    assert same_weights(folder / "checkpoint_last.pt", tmp_path / "checkpoint_last.pt")


def test_two_processes_train_like_one(trained, data_bin, tmp_path):
    flags, folder, _ = trained
    train_ranks(2, data_bin, tmp_path, *flags, "--max-epoch", "1", "--batch-size", "2")
    assert largest_difference(folder / "checkpoint1.pt", tmp_path / "checkpoint_last.pt") < 1e-5


def test_the_exact_criterion_takes_any_output_layer(data_bin, tmp_path):
    layer = ("--output-layer", "mos", "--n-experts", "2")
    train(data_bin, tmp_path / "one", *layer, "--max-epoch", "1")
    train(data_bin, tmp_path / "two", *layer, "--criterion", "lm_cross_entropy", "--max-epoch", "1")
    last = "checkpoint_last.pt"
    assert same_weights(tmp_path / "one" / last, tmp_path / "two" / last)


@pytest.mark.parametrize(
    "flags, part",
    [
        (("--criterion", "mos", "--output-layer", "softmax"), "--criterion mos needs a model"),
        (
            ("--criterion", "adaptive_softmax", "--output-layer", "mos"),
            "lm_cross_entropy, which supports all of them",
        ),
        (("--criterion", "adaptive_softmax"), "--adaptive-softmax-cutoff is None"),
        (
            ("--criterion", "adaptive_softmax", "--adaptive-softmax-cutoff", "some"),
            "is some: give increasing",
        ),
        (("--criterion", "adaptive_softmax", "--adaptive-softmax-cutoff", "20,10"), "20, 10 "),
        (
            ("--criterion", "adaptive_softmax", "--adaptive-softmax-cutoff", "9,70"),
            "must be strictly increasing",
        ),
        (("--criterion", "mos", "--n-experts", "0"), "--n-experts is 0: it must be at least 1"),
        (("--output-rank", "3"), "must not be tied"),
        (("--output-layer", "nosuch"), "no --output-layer nosuch: choose from softmax,"),
        (("--decoder-last-size", "9"), "cannot share a weight"),
    ],
)
def test_options_that_do_not_fit_are_refused_before_the_data_is_read(data_bin, tmp_path, flags, part):
    finished = train(data_bin, tmp_path / "new", *flags, succeeds=False)
    refused(finished, part)
    assert "loaded" not in finished.output and not files(tmp_path)


def test_an_adaptive_softmax_needs_a_dictionary_by_frequency(tmp_path):
    write_corpus(tmp_path)
    (tmp_path / "dict.txt").write_text("".join(f"w{i} {i + 1}\n" for i in range(60)))
    texts = [str(tmp_path / f"{split}.txt") for split in ("train", "valid")]
    run_fairseq(
        "preprocess", "--only-source", "--destdir", tmp_path / "bin", "--srcdict", tmp_path / "dict.txt",
        "--trainpref", texts[0], "--validpref", texts[1],
    )  # fmt: skip
    finished = train(tmp_path / "bin", tmp_path / "new", *ADAPTIVE, succeeds=False)
    refused(finished, "not sorted by decreasing frequency")
