"""README.md and results/README.md from their notebooks, without quarto: python nbs/_tools/readme.py

Cells marked `#| echo: false` are run and their Markdown takes their place: every figure on these pages is one of
results/.
"""

import ast
import posixpath
import re
from pathlib import Path

import nbformat
from nbconvert import MarkdownExporter
from nbformat.v4 import new_markdown_cell
from traitlets.config import Config

ROOT = Path(__file__).resolve().parents[2]
PAGES = {"nbs/index.ipynb": "README.md", "nbs/results.ipynb": "results/README.md"}
HEAD = "<!-- Written by nbs/_tools/readme.py from {}: edit that. -->\n\n"


def result(source, names):
    "Markdown that a cell's last expression shows; empty where it shows nothing"
    body = ast.parse(source).body
    last = body.pop() if isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), "<notebook>", "exec"), names)
    shown = eval(compile(ast.Expression(last.value), "<notebook>", "eval"), names) if last else None
    return "" if shown is None else shown._repr_markdown_()


def link_from(page, found):
    "A link that starts in nbs/ as one that starts where the page lies; what it names must be there"
    path, _, anchor = found[1].partition("#")
    link = posixpath.normpath(f"nbs/{path}")
    link = PAGES.get(link, link)
    if link not in PAGES.values() and not (ROOT / link).exists():
        raise ValueError(f"{page} links to {found[1]}, and there is no {link}")
    return f"]({posixpath.relpath(link, posixpath.dirname(page) or '.')}{'#' * bool(anchor)}{anchor})"


def written(notebook):
    "The text of the page that a notebook writes"
    page = PAGES[notebook]
    nb, names, cells = nbformat.read(ROOT / notebook, 4), {}, []
    for cell in nb.cells:
        marked = (
            set(re.findall(r"(?m)^#\s*\|\s*(hide|default_exp|echo: false)\b", cell.source))
            if cell.cell_type == "code"
            else set()
        )
        if marked == {"echo: false"}:
            cells.append(new_markdown_cell(result(cell.source, names)))
        elif not marked:
            cells.append(cell)
    for cell in cells:
        if cell.cell_type == "code":
            cell.source = re.sub(r"(?m)^#\s*\|.*\n?", "", cell.source)
    nb.cells = cells
    nb.metadata.language_info = {"name": "python"}
    text, _ = MarkdownExporter(config=Config(ClearOutputPreprocessor={"enabled": True})).from_notebook_node(nb)
    text = re.sub(r"\]\((?!\w+:|#)([^)\s]+)\)", lambda found: link_from(page, found), text)
    return HEAD.format(notebook) + re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


if __name__ == "__main__":
    for notebook, page in PAGES.items():
        (ROOT / page).write_text(written(notebook), encoding="utf-8")
