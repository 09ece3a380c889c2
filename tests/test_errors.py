"""Which errors are explained in one sentence, and which are shown as they are."""

import pickle

import pytest

from lm_plugins.errors import Refused, report, sentence


def caught(function):
    try:
        function()
    except Exception as error:
        return error


def load_checkpoint_to_cpu(path, error):
    """Under the name by which fairseq's reader of checkpoints is known in a traceback."""
    raise error


def test_a_refusal_is_its_own_sentence_also_behind_another_error():
    def wrapped():
        try:
            raise Refused("give --batch-size")
        except Refused as cause:
            raise RuntimeError("worker 3 died") from cause

    assert sentence(Refused("give --batch-size")) == "give --batch-size"
    assert sentence(caught(wrapped)) == "give --batch-size"


@pytest.mark.parametrize(
    "error, part",
    [
        (pickle.UnpicklingError("Unsupported global"), "could run code when loaded"),
        (EOFError("Ran out of input"), "cut short"),
        (RuntimeError("failed finding central directory"), "cut short"),
    ],
)
def test_a_bad_checkpoint_is_named(error, part):
    text = sentence(caught(lambda: load_checkpoint_to_cpu("a/b.pt", error)))
    assert "a/b.pt" in text and part in text
    assert sentence(type(error)(*error.args)) is None, "not while reading one"


def test_other_known_ends():
    assert "--lr" in sentence(FloatingPointError("Minimum loss scale reached"))
    assert "give the path" in sentence(OSError("Model file not found: x.pt"))


def test_unknown_errors_keep_their_traceback(capsys):
    shown = []
    error = caught(lambda: [][0])
    report(type(error), error, error.__traceback__, default=lambda *args: shown.append(args))
    assert shown == [(IndexError, error, error.__traceback__)]
    report(Refused, Refused("no"), None, default=None)
    assert capsys.readouterr().err == "lm_plugins: error: no\n"
