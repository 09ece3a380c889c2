"""What a terminal shows of the log of a training run."""

import subprocess
import sys

import pytest

from recipes.progress import Progress, duration, follow, last_number
from tests.helpers.training_log import epoch, folders, inner, line, started


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def terminal():
    """(feed, lines): `feed(seconds, text)` reads text at that time, `lines` is what was shown."""
    clock, lines = Clock(), []
    progress = Progress(lines.append, clock)

    def feed(seconds, text):
        clock.now = seconds
        for one in text.splitlines(keepends=True):
            progress.feed(one)

    feed.held = progress.held
    return feed, lines


def begin(feed, maximum="--max-epoch 4"):
    feed(0, line(0, "lm_plugins.completion", f"completed command: fairseq-train data {maximum}"))
    feed(0, started(0))


def test_an_epoch_is_a_line_with_the_time_left(terminal):
    feed, lines = terminal
    begin(feed)
    feed(30, epoch(30, 1))
    assert lines == [
        "  epoch 1 of 4 begins, 12,345 parameters",
        "  epoch 1 of 4          validation perplexity   100.00   2,000 tokens/s   90 s left",
    ]
    feed(60, epoch(60, 2) + epoch(61, 3) + epoch(62, 4))
    assert "left" not in lines[-1] and lines[-1].startswith("  epoch 4 of 4 ")


def test_an_epoch_of_several_data_folders_is_a_pass_over_all(terminal):
    feed, lines = terminal
    feed(0, line(0, "lm_plugins.completion", "completed command: fairseq-train a:b --max-epoch 3"))
    feed(0, folders(0, 12, max_epoch=3) + started(0))
    feed(140, epoch(140, 14))
    assert lines[0].startswith("  epoch 1 of 3, folder  1 of 12 begins")
    assert lines[1].startswith("  epoch 2 of 3, folder  2 of 12 ") and lines[1].endswith("4 min left")


def test_within_an_epoch_there_is_a_line_every_ten_seconds(terminal):
    feed, lines = terminal
    begin(feed)
    for tick in range(1, 100):
        feed(tick, inner(tick, tick / 100, tick, ppl="300"))
    assert len(lines) == 1 + 9
    assert lines[5] == "  epoch 1 of 4,  50 %   training   perplexity   300.00   1,000 tokens/s   6 min left"


def test_the_last_of_epochs_and_updates_ends_it_and_a_loss_is_shown_where_there_is_no_perplexity(terminal):
    feed, lines = terminal
    begin(feed, "--max-epoch 100 --max-update 40")
    feed(10, inner(10, 0.1, 10))
    feed(20, inner(20, 0.2, 20))
    assert lines[-1] == "  epoch   1 of 100,  20 %   training   loss    5.000   1,000 tokens/s   20 s left"


def test_without_an_end_no_remaining_time_is_shown(terminal):
    feed, lines = terminal
    begin(feed, "")
    feed(20, epoch(20, 1))
    assert lines[-1] == "  epoch 1          validation perplexity   100.00   2,000 tokens/s"


def test_warnings_and_how_it_ended_are_shown_and_the_rest_is_not(terminal):
    feed, lines = terminal
    feed(0, line(0, "fairseq_cli.train", "QRNN(") + "  (layer)\n)\n" + line(0, "x", "y"))
    feed(0, "INFO:root:nothing\n" + line(0, "x", "low memory", "WARNING"))
    feed(0, line(0, "train", '{"epoch": 3, "tr'))
    assert lines == ["WARNING: low memory"]
    feed(0, "lm_plugins: error: --lr is 0\n")
    assert len(lines) == 1 and feed.held == ["lm_plugins: error: --lr is 0"]


def test_everything_is_in_the_log_and_the_status_is_the_program_s(tmp_path):
    text = line(0, "x", "y") + "odd \udce9\n".encode(errors="surrogateescape").decode(errors="replace")
    follow(text.splitlines(keepends=True), tmp_path / "log")
    assert (tmp_path / "log").read_text() == text
    warning = line(0, "x", "low", "WARNING")
    (tmp_path / "warnings").write_text(warning * 3)
    closed = "set -o pipefail; $PYTHON -m recipes.progress $LOG.2 < ${LOG%log}warnings | true"
    script = "set -o pipefail; (echo one; exit 3) | $PYTHON -m recipes.progress $LOG"
    environ = {"PYTHON": sys.executable, "LOG": str(tmp_path / "log"), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(["bash", "-c", script], env=environ, capture_output=True, text=True)
    assert done.returncode == 3 and done.stderr == "one\n"
    assert (tmp_path / "log").read_text() == text + "one\n"
    done = subprocess.run(["bash", "-c", closed], env=environ, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "", "nobody reads what is shown"
    assert (tmp_path / "log.2").read_text() == warning * 3


def test_limits_are_read_from_commands_and_configurations():
    assert last_number("max_epoch", "fairseq-train --max-epoch=3 --x --max-epoch 12") == 12
    assert last_number("max_update", "{'max_epoch': 3, 'max_update': 70}") == 70
    assert last_number("max_epoch", "fairseq-train data") == 0


@pytest.mark.parametrize(
    ("seconds", "text"), [(50.2, "50 s"), (720, "12 min"), (12000, "3 h 20 min"), (5999, "1 h 40 min")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text
