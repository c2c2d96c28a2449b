"""README.md from nbs/index.ipynb, without quarto: python nbs/_tools/readme.py

Cells marked `#| echo: false` are run and their Markdown takes their place: the figures in README.md are those of
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
HEAD = "<!-- Written by nbs/_tools/readme.py from nbs/index.ipynb: edit that. -->\n\n"


def result(source, names):
    "Markdown that a cell's last expression shows; empty if it ends in a statement"
    body = ast.parse(source).body
    last = body.pop() if isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), "index.ipynb", "exec"), names)
    return eval(compile(ast.Expression(last.value), "index.ipynb", "eval"), names)._repr_markdown_() if last else ""


def from_root(found):
    "A link that starts in nbs/ as one that starts at the root; what it names must be there"
    link = posixpath.normpath(f"nbs/{found[1]}")
    if not (ROOT / link.split("#")[0]).exists():
        raise ValueError(f"index.ipynb links to {found[1]}, and there is no {link}")
    return f"]({link})"


def readme():
    "The text of README.md"
    nb, names, cells = nbformat.read(ROOT / "nbs/index.ipynb", 4), {}, []
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
    text = re.sub(r"\]\((?!\w+:|#)([^)\s]+)\)", from_root, text)
    return HEAD + re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


if __name__ == "__main__":
    (ROOT / "README.md").write_text(readme(), encoding="utf-8")
