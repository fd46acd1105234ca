"""Writes the generated parts of README.md and of the pages in docs/.

    python docs/generate.py           # after a change of a network, a recipe or a CSV of results
    python docs/generate.py --check   # only say what would change

A generated part is what lies between `<!-- generated: NAME -->` and `<!-- end of NAME -->`.
"""

import argparse
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).parents[1]
FIGURES = ROOT / "saved_models" / "figures"
sys.path.insert(0, str(ROOT))

from generators import ablation, networks, recipes, results, shipped  # noqa: E402

PARTS = {
    "paper-claims": ablation.claims,
    "study-augmentation": lambda: ablation.study(FIGURES / "ablation_augmentation.csv"),
    "study-lrn": lambda: ablation.study(FIGURES / "ablation_lrn.csv"),
    "study-cifar-v3": lambda: ablation.study(FIGURES / "ablation_cifar_v3.csv"),
    "networks-table": networks.overview,
    "networks": networks.sections,
    "documents": networks.documents,
    "recipes-default": lambda: recipes.by_network("default"),
    "recipes-fast": lambda: recipes.by_network("fast"),
    "recipes-document": lambda: recipes.by_network("document"),
    "recipes-shared": recipes.shared,
    "best-results": lambda: results.best(ROOT / "saved_models" / "results.csv"),
    "results": lambda: results.runs(ROOT / "saved_models" / "results.csv"),
    "exports": lambda: results.exports(ROOT / "saved_models" / "exports.csv"),
    "shipped-weights": shipped.overview,
    "parity": lambda: results.parity(ROOT / "saved_models" / "parity.csv"),
}
_PART = re.compile(r"<!-- generated: ([\w-]+) -->\n.*?<!-- end of \1 -->", re.S)


def generated(text: str) -> str:
    """Returns a page with its generated parts written anew."""

    def part(match: re.Match[str]) -> str:
        name = match[1]
        return f"<!-- generated: {name} -->\n\n{PARTS[name]()}\n\n<!-- end of {name} -->"

    return _PART.sub(part, text)


def pages() -> list[pathlib.Path]:
    """Returns README.md and every page of docs/."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if stale")
    check = parser.parse_args().check
    stale = []
    for page in pages():
        old = page.read_text(encoding="utf-8")
        new = generated(old)
        if new != old:
            stale.append(str(page.relative_to(ROOT)))
            if not check:
                page.write_text(new, encoding="utf-8")
    if stale:
        print(f"{'Stale, run python docs/generate.py' if check else 'Written'}: {', '.join(stale)}")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
