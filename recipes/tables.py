"""Write the files that repeat facts of the architectures: recipes and the tables of results and models.

    python -m recipes.tables

The facts are those of lm_plugins/architectures. The measured columns of recipes/README.md stay as they are.
"""

import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

from fairseq.models import ARCH_MODEL_REGISTRY

from lm_plugins.architectures import ARCHITECTURES, Architecture, Published, Recipe
from recipes.experiment import DASH, PUBLISHED, RECIPES

ROOT = RECIPES.parent
UNITS = {"ppl": "perplexity", "bpc": "bits per character"}
PROTOCOLS = ("trained", "finetuned", "cache", "dynamic")
MEASURED = 4  # last columns of the table of results
CALL = 'source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../common.sh"'


def recipes() -> Iterator[tuple[Architecture, Recipe]]:
    """Iterate over the recipes of all architectures, sorted by corpus and name."""
    pairs = [(one, recipe) for one in ARCHITECTURES.values() for recipe in one.recipes]
    return iter(sorted(pairs, key=lambda pair: pair[1].path))


def pair(scores: tuple[str | None, str | None]) -> str:
    """Return "valid / test"."""
    return " / ".join(score or DASH for score in scores)


def labels(published: Published) -> dict[str, str]:
    """Return {protocol: its name}; cache and dynamic evaluation are those of the best model."""
    best = "fine-tuned" if published.finetuned else "trained"
    return {
        "trained": "trained",
        "finetuned": "fine-tuned",
        "cache": f"{best} + cache",
        "dynamic": f"{best} + dynamic",
    }


def comment(text: str) -> list[str]:
    """Return `text` as lines of a comment in a shell script."""
    return textwrap.wrap(text, 110, initial_indent="# ", subsequent_indent="#   ")


def script(architecture: Architecture, recipe: Recipe) -> str:
    """Return the text of a recipe."""
    lines = ["#!/usr/bin/env bash", *comment(recipe.title)]
    if architecture.source:
        lines += comment(f"source: {architecture.source}")
    for departure in architecture.departures:
        lines += comment(f"departure: {departure}")
    if recipe.published:
        rows = {
            name: getattr(recipe.published, protocol)
            for protocol, name in labels(recipe.published).items()
            if getattr(recipe.published, protocol)
        }
        width = max(map(len, rows))
        lines.append(f"{PUBLISHED} {UNITS[recipe.unit]}, valid / test:")
        lines += [f"#   {name.ljust(width)}  {pair(scores)}" for name, scores in rows.items()]
        if recipe.published.note:
            lines += comment(f"note: {recipe.published.note}")
    flags = " ".join(word for flag in (architecture.dynamic or {}).items() for word in flag)
    finetune, cache = ("yes" if choice else "no" for choice in (architecture.finetuning, recipe.cache))
    lines += [f"arch={architecture.name} finetune={finetune} cache={cache}", f'dynamic="{flags}"', CALL]
    return "\n".join(lines) + "\n"


def results(old: str) -> str:
    """Return the table of results, with the measured columns of the `old` one."""
    measured = {
        cells[0]: cells[-MEASURED:]
        for cells in ([cell.strip() for cell in line.strip("|").split("|")] for line in old.splitlines())
    }
    titles = ["trained", "fine-tuned", "+ cache", "+ dynamic"]
    lines = [["recipe", f"published: {titles[0]}", *titles[1:], f"measured: {titles[0]}", *titles[1:]]]
    lines.append(["---"] * len(lines[0]))
    notes = []
    for architecture, recipe in recipes():
        if recipe.path.startswith("text/"):
            continue
        published = recipe.published or Published((None, None))
        unit = "" if recipe.unit == "ppl" else f" {recipe.unit}"
        scores = [getattr(published, protocol) for protocol in PROTOCOLS]
        cells = [f"{pair(one)}{unit}" if one and any(one) else "" for one in scores]
        planned = [True, architecture.finetuning, recipe.cache, architecture.dynamic]
        empty = [DASH if stage else "" for stage in planned]
        lines.append([recipe.path, *cells, *measured.get(recipe.path, empty)])
        if published.note:
            notes.append(f"- {recipe.path}: {published.note}.")
    table = [re.sub(" +", " ", f"| {' | '.join(line)} |") for line in lines]
    return "\n".join([*table, "", "Notes on the published numbers:", "", *notes])


def models(_: str) -> str:
    """Return the table of architectures."""
    lines = ["| architecture | layers | parameters | recipes |", "|---|---|--:|---|"]
    for name, architecture in ARCHITECTURES.items():
        parameters = architecture.parameters or "depends on the text"
        paths = ", ".join(f"`{recipe.path}`" for recipe in architecture.recipes)
        lines.append(f"| `{name}` | {layers(name)} | {parameters} | {paths} |")
    return "\n".join(lines)


def layers(name: str) -> str:
    """Return the sizes of an architecture, in words."""
    cfg = ARCH_MODEL_REGISTRY[name].config()
    words = [f"{cfg.decoder_layers} x {cfg.decoder_hidden_size}"]
    if getattr(cfg, "memory_cells", None):
        words[0] += f" with {cfg.memory_cells} cells"
    if cfg.decoder_last_size:
        words.append(f"last {cfg.decoder_last_size}")
    if cfg.decoder_embed_dim != cfg.decoder_hidden_size:
        words.append(f"embedding {cfg.decoder_embed_dim}")
    if cfg.output_layer == "mos":
        words.append(f"{cfg.n_experts} softmaxes")
    if cfg.output_layer == "adaptive_softmax":
        words.append("adaptive softmax")
    if cfg.share_decoder_input_output_embed:
        words.append("tied")
    return ", ".join(words)


SECTIONS = {"recipes/README.md": ("results", results), "docs/models.md": ("architectures", models)}


def rewritten(text: str, name: str, write: Callable[[str], str]) -> str:
    """Return `text` with the section between the comments `name` and `end of name` rewritten."""
    before, rest = text.split(f"<!-- {name} -->\n", 1)
    old, after = rest.split(f"<!-- end of {name} -->\n", 1)
    return f"{before}<!-- {name} -->\n{write(old)}\n<!-- end of {name} -->\n{after}"


def files() -> dict[Path, str]:
    """Return {path: text} of the files as they should be."""
    scripts = {RECIPES / f"{recipe.path}.sh": script(one, recipe) for one, recipe in recipes()}
    pages = {
        ROOT / path: rewritten((ROOT / path).read_text(), *section) for path, section in SECTIONS.items()
    }
    return {**scripts, **pages}


def main() -> None:
    """Write the files that are out of date."""
    for path, text in files().items():
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            if path.suffix == ".sh":
                path.chmod(0o755)
            print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
