"""The commands in README.md and docs/ run as they stand, in the order of their page, from a checkout's root.

One `bash -eu` runs all ``bash`` blocks of a page in a copy of the tree. Blocks that cannot run here are
marked ``text``. The tests' own corpus replaces all corpora, and LM_PLUGINS_ADDOPTS makes the models tiny.
fairseq's commands and Python are forked from the tests' server (:mod:`tests.helpers.typed_commands`), and
`make` only looks up its target. All pages together take less than a minute of processor time.
"""

import ast
import re
import shutil
import subprocess
from dataclasses import fields, is_dataclass

import pytest
from fairseq.models import MODEL_DATACLASS_REGISTRY
from fairseq.registry import REGISTRIES
from fairseq.tasks import TASK_DATACLASS_REGISTRY

import lm_plugins  # noqa: F401  registers its options
from lm_plugins.ranges import flag_of
from preprocess.completion import complete
from tests.helpers.corpus import binarize, write_corpus
from tests.helpers.runner import ROOT, train
from tests.helpers.typed_commands import typed_commands, write_script

PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]
FIRST = {"README.md", "index.md"}  # activate the environment, and train the model that other pages evaluate
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LANGUAGES = {"bash", "python", "text"}
FOLDERS = ("examples", "lm_plugins", "preprocess", "recipes")
CORPORA = ("ptb", "ptb_char", "wt2", "wt103", "enwik8", "text8", "gbw/01", "gbw/02")
SIZES = (
    "--cpu --decoder-embed-dim 12 --decoder-hidden-size 16 --batch-size 4 --max-epoch 1 --max-update 3 "
    "--no-progress-bar"
)
ADAPTIVE = re.compile(r"--arch qrnn_wt103\b|recipes/wt103/qrnn\.sh\b")  # commands of an adaptive softmax
CUTOFF = " --adaptive-softmax-cutoff 20,100"  # within the small dictionary


def blocks(page, language):
    """Return the code blocks of `page` in `language`."""
    return [code for its_language, code in BLOCK.findall(page.read_text()) if its_language == language]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Return a data-bin of more words than the noise words of the Google Billion Words."""
    folder = tmp_path_factory.mktemp("text")
    write_corpus(folder, words=600)
    return binarize(folder)


@pytest.fixture(scope="module")
def model(data, tmp_path_factory):
    """Return a folder with the checkpoint that docs/index.md trains."""
    folder = tmp_path_factory.mktemp("small")
    train(data, folder, "--max-update", "3", arch="lstm_small")
    return folder


@pytest.fixture(scope="module")
def commands(tmp_path_factory):
    """Yield the bin/ of the environment."""
    folder = tmp_path_factory.mktemp("environment") / "bin"
    with typed_commands(folder):
        yield folder


@pytest.fixture
def checkout(data, commands, tmp_path):
    """Return a folder like a checkout after `make setup`, with the corpora, and a text of the user's own."""
    for name in FOLDERS:
        shutil.copytree(
            ROOT / name, tmp_path / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__")
        )
    for name in ("Makefile", "README.md"):
        shutil.copy(ROOT / name, tmp_path)
    texts = [data.parent / f"{split}.txt" for split in ("train", "valid", "test")]
    (tmp_path / "mine").mkdir()
    for text in texts:
        shutil.copy(text, tmp_path / "mine")
    (tmp_path / "mine.txt").write_text("".join(text.read_text() for text in texts))
    for corpus in CORPORA:
        shutil.copytree(data, tmp_path / "data-bin" / corpus)
        name = corpus.split("/")[0]
        complete(tmp_path / "data-bin" / name, {"corpus": name}, {})
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "bin").symlink_to(commands)
    (tmp_path / "bin").mkdir()
    write_script(tmp_path / "bin" / "make", '#!/bin/sh\nexec /usr/bin/make --dry-run "$@" >/dev/null\n')
    return tmp_path


def test_every_block_says_what_it_is():
    unknown = {
        (page.name, language)
        for page in PAGES
        for language, _ in BLOCK.findall(page.read_text())
        if language not in LANGUAGES
    }
    assert unknown == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_data_bin_is_that_of_a_corpus_or_made_on_the_page(page):
    text = page.read_text()
    named = set(re.findall(r"data-bin/(\w+)", text))
    made = set(re.findall(r"(?:--destdir|preprocess\.text) data-bin/(\w+)", text))
    corpora = {path.stem for path in ROOT.glob("preprocess/*.py") if "__main__" in path.read_text()}
    assert named <= made | corpora


def is_ours(kind):
    """Return whether a class is one of this package."""
    return kind.__module__.startswith("lm_plugins.")


def test_every_option_is_on_a_page():
    registries = [registry["dataclass_registry"] for registry in REGISTRIES.values()]
    registries += [MODEL_DATACLASS_REGISTRY, TASK_DATACLASS_REGISTRY]
    kinds = {kind for registry in registries for kind in registry.values() if is_dataclass(kind)}
    options = set()
    for kind in filter(is_ours, kinds):
        own = {name for one in filter(is_ours, kind.__mro__) for name in one.__annotations__}
        options |= {flag_of(one.name) for one in fields(kind) if one.name in own and "help" in one.metadata}
    assert len(options) > 60
    text = "".join(page.read_text() for page in PAGES)
    assert [flag for flag in sorted(options) if not re.search(rf"{flag}(?![\w-])", text)] == []


COMMANDS = [path for name in FOLDERS for path in sorted(ROOT.glob(f"{name}/**/*.py"))]
INNER = {ROOT / "recipes/run.py"}  # started by recipes/common.sh, which explains the options


def test_every_argument_has_a_help_text():
    unexplained = []
    for path in {*COMMANDS} - INNER:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "add_argument":
                if "help" not in {keyword.arg for keyword in node.keywords}:
                    unexplained.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert unexplained == []


def test_every_picture_is_on_a_page():
    shown = {name for page in PAGES for name in re.findall(r"!\[.+\]\(pictures/(\S+)\)", page.read_text())}
    assert shown == {path.name for path in ROOT.glob("docs/pictures/*.png")}


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "bash")], ids=lambda page: page.name)
def test_blocks_of_a_page_run_in_its_order(page, checkout, request):
    path = f"{checkout}/bin:/usr/bin:/bin"
    if page.name not in FIRST:
        shutil.copytree(request.getfixturevalue("model"), checkout / "checkpoints" / "small")
        path = f"{checkout}/.venv/bin:{path}"
    environ = {"HOME": str(checkout), "PATH": path, "LM_PLUGINS_ADDOPTS": SIZES, "OMP_NUM_THREADS": "1"}
    shell = subprocess.run(
        ["bash", "-eu"],
        input=ADAPTIVE.sub(lambda command: command[0] + CUTOFF, "\n".join(blocks(page, "bash"))),
        cwd=checkout,
        env=environ,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert shell.returncode == 0, shell.stdout[-3000:] + shell.stderr[-3000:]
