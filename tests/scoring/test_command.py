"""``python -m lm_plugins.score`` has the numbers of fairseq-eval-lm, and refuses what has no right answer."""

import io
import json
import math
import os
import shutil
import sys

import pytest

from lm_plugins.hub import load
from lm_plugins.score import main
from lm_plugins.scoring.reading import WINDOW
from lm_plugins.tasks import loading
from tests.helpers.runner import evaluate, train


@pytest.fixture(scope="module")
def checkpoint(data_bin, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    train(data_bin, folder, "--max-update", "9", "--no-epoch-checkpoints", "--no-last-checkpoints")
    return folder / "checkpoint_best.pt"


@pytest.fixture
def score(checkpoint, data_bin, capsys):
    """Return a function that runs the command, and returns the rows that it prints."""

    def run(*arguments):
        main(["--path", str(checkpoint), "--data", str(data_bin), "--cpu", *map(str, arguments)])
        return capsys.readouterr().out.splitlines()

    return run


def typed(text, monkeypatch):
    """Let standard input be the bytes `text`."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))


def totals(rows):
    """Return ln p, tokens and unknown tokens of all rows."""
    return [
        sum(column) for column in zip(*([float(x) for x in row.split("\t")[:3]] for row in rows), strict=True)
    ]


def test_the_numbers_are_those_of_fairseq_eval_lm(score, checkpoint, data_bin, corpus, tmp_path):
    evaluate(data_bin, checkpoint, "--results-path", tmp_path)
    results = json.loads((tmp_path / "results-test.json").read_text())
    rows = score("--carry", corpus / "test.txt")
    assert len(rows) == 90
    log_prob, tokens, unknown = totals(rows)
    assert log_prob == pytest.approx(-results["nats"], rel=1e-6)
    assert (tokens, unknown) == (results["targets"], results["unknown"])
    lm, state, nats = load(checkpoint, data_bin), None, 0.0
    for line in (corpus / "test.txt").read_text().splitlines():
        streamed = lm.score(line + "\n", state=state)
        nats, state = nats + streamed.nll, streamed.state
    assert nats == pytest.approx(results["nats"], rel=1e-6)


def test_lines_are_scored_by_themselves_in_their_order(score, checkpoint, data_bin, corpus, monkeypatch):
    lines = (corpus / "test.txt").read_text().splitlines()
    expected = load(checkpoint, data_bin).score(lines, eos=True)
    rows = score(corpus / "test.txt")
    for row, one in zip(rows, expected, strict=True):
        log_prob, tokens, unknown, perplexity = row.split("\t")
        assert (float(log_prob), float(perplexity)) == pytest.approx((one.log_prob, one.perplexity), rel=1e-6)
        assert (int(tokens), int(unknown)) == (len(one.tokens), one.unknown)
    for flags in (["--batch-size", "3"], ["--buffer-size", "7"]):
        typed((corpus / "test.txt").read_bytes(), monkeypatch)
        assert totals(score(*flags)) == pytest.approx(totals(rows), rel=1e-6)


def test_several_models_are_interpolated(score, checkpoint, corpus, tmp_path):
    """A copy of the model gives the mixture of both the scores of one."""
    (tmp_path / "copy.pt").symlink_to(checkpoint)
    several = ["--path", f"{checkpoint}:{tmp_path / 'copy.pt'}", corpus / "test.txt"]
    expected = pytest.approx(totals(score(corpus / "test.txt")), rel=1e-9)
    for weights in ([], ["--interpolate-weights", "0.3,0.7"]):
        assert totals(score(*several, *weights)) == expected


def test_tokens_and_json_sum_up_to_the_lines(score, tmp_path):
    (tmp_path / "text").write_text("w1 nothing w2\n\nw3\r\n w4")
    rows = [row.split("\t") for row in score(tmp_path / "text")]
    assert [row[1:3] for row in rows] == [["4", "1"], ["1", "0"], ["2", "0"], ["2", "0"]]
    header, *tokens = [row.split("\t") for row in score("--tokens", tmp_path / "text")]
    assert header == ["line", "token", "bits", "unknown"]
    assert [token[1] for token in tokens] == [
        "w1",
        "nothing",
        "w2",
        "</s>",
        "</s>",
        "w3",
        "</s>",
        "w4",
        "</s>",
    ]
    assert [token[3] for token in tokens][:3] == ["0", "1", "0"]
    for number, row in enumerate(rows, 1):
        bits = sum(float(token[2]) for token in tokens if token[0] == str(number))
        assert -bits * math.log(2) == pytest.approx(float(row[0]), rel=1e-5)
    objects = [json.loads(row) for row in score("--json", "--words", "--no-eos", tmp_path / "text")]
    assert [len(one["bits"]) for one in objects] == [one["tokens"] for one in objects] == [3, 0, 1, 1]
    assert objects[1] == {"log_prob": 0, "tokens": 0, "unknown": 0, "perplexity": None, "bits": []}
    assert objects[0]["bits"][1] == ["nothing", pytest.approx(float(tokens[1][2]), rel=1e-5), True]


@pytest.mark.parametrize(
    "content, sentence",
    [
        (b"w1\nw2 \xff\n", "line 2 of {} is not UTF-8 (byte 4 is 0xff)"),
        (b"w1\n\nw2\0w3", "line 3 of {} holds a NUL character"),
        (b"w1 <pad> w2", "line 1 of {}: the text holds the literal symbol <pad>"),
    ],
)
def test_a_line_that_cannot_be_scored(checkpoint, data_bin, content, sentence, tmp_path, capsys):
    (tmp_path / "bad").write_bytes(content)
    with pytest.raises(SystemExit) as stop:
        main(
            [
                "--path",
                str(checkpoint),
                "--data",
                str(data_bin),
                "--output",
                str(tmp_path / "out"),
                str(tmp_path / "bad"),
            ]
        )
    error = capsys.readouterr().err
    assert stop.value.code == 2 and error.startswith("lm_plugins: error: ") and error.count("\n") == 1
    assert sentence.format(tmp_path / "bad") in error and not (tmp_path / "out").exists()


def test_what_else_is_refused(score, checkpoint, other_data_bin, tmp_path, capsys):
    (tmp_path / "text").write_text("w1\n")
    for arguments, sentence in (
        ((tmp_path / "missing",), "missing cannot be read (No such file or directory)"),
        ((tmp_path,), "is a folder: give a text file"),
        (("--batch-size", "0", tmp_path / "text"), "--batch-size is 0: it must be at least 1"),
        (("--output", tmp_path / "no/out", tmp_path / "text"), "cannot be written (No such file"),
        (("--data", other_data_bin, tmp_path / "text"), "trained with a different dictionary"),
        (("--output", tmp_path / "text", tmp_path / "text"), "text would overwrite the text"),
        (("--output", checkpoint, tmp_path / "text"), "would overwrite the model"),
        (("--interpolate-weights", "1", tmp_path / "text"), "has no effect on a single model"),
    ):
        with pytest.raises(SystemExit) as stop:
            score(*arguments)
        printed = capsys.readouterr()
        assert stop.value.code == 2 and sentence in printed.err and not printed.out


def test_a_checkpoint_that_is_replaced_while_it_is_read(score, checkpoint, tmp_path, capsys, monkeypatch):
    """Its tensors are read when they are used, so they would be those of two models."""
    copy, read = tmp_path / "checkpoint.pt", loading.read_own_checkpoint
    shutil.copyfile(checkpoint, copy)
    (tmp_path / "text").write_text("w1\n")

    def replaced(path):
        content = read(path)
        os.utime(copy, ns=(1, 1))
        return content

    monkeypatch.setattr(loading, "read_own_checkpoint", replaced)
    with pytest.raises(SystemExit):
        score("--path", copy, tmp_path / "text")
    assert f"{copy} was replaced while it was read: run the same command again" in capsys.readouterr().err


def test_a_model_of_text8_has_no_line_ends(score, data_bin, tmp_path, capsys):
    folder = shutil.copytree(data_bin, tmp_path / "text8")
    (folder / ".complete").write_text('{"inputs": {"corpus": "text8"}}')
    (tmp_path / "text").write_text("w\n")
    for flags in ([], ["--no-eos", "--carry"]):
        with pytest.raises(SystemExit) as stop:
            score("--data", folder, *flags, tmp_path / "text")
        assert stop.value.code == 2 and "a model of text8 never predicts a </s>" in capsys.readouterr().err
    assert len(score("--data", folder, "--no-eos", tmp_path / "text")) == 1


def test_closed_streams(score, tmp_path, capsys, monkeypatch):
    """The summary is not printed among the rows, and without an input there is nothing to score."""
    (tmp_path / "text").write_text("w1 w2\n")
    with monkeypatch.context() as closed:
        closed.setattr(sys, "stderr", None)
        assert len(score(tmp_path / "text")) == 1
    with monkeypatch.context() as closed:
        closed.setattr(sys, "stdout", None)
        score("--output", tmp_path / "out", tmp_path / "text")
        assert (tmp_path / "out").read_text().count("\n") == 1
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(SystemExit) as stop:
        score()
    assert stop.value.code == 2 and "standard input is closed" in capsys.readouterr().err


def test_an_output_file_and_a_byte_order_mark(score, tmp_path):
    (tmp_path / "text").write_bytes(b"\xef\xbb\xbfw1 w2\n")
    assert score("--output", tmp_path / "out", tmp_path / "text") == []
    assert (tmp_path / "out").read_text().split("\t")[1:3] == ["3", "0"]


def test_a_long_line_is_read_in_windows(checkpoint, data_bin):
    lm, sizes = load(checkpoint, data_bin), []
    lm.decoder.embed_tokens.register_forward_hook(
        lambda module, inputs, output: sizes.append(inputs[0].numel())
    )
    lm.score(["w1", "w2 w3 " * 1000, "w4"], batch_size=2)
    assert max(sizes) <= 2 * WINDOW and sum(sizes) < 2000 + 2 * WINDOW + 2
