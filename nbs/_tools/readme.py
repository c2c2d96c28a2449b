"README.md from nbs/index.ipynb, without quarto: python nbs/_tools/readme.py"
import re
from pathlib import Path

import nbformat
from nbconvert import MarkdownExporter
from traitlets.config import Config

ROOT = Path(__file__).resolve().parents[2]
HEAD = "<!-- Written by nbs/_tools/readme.py from nbs/index.ipynb: edit that. -->\n\n"


def readme():
    "The text of README.md"
    nb = nbformat.read(ROOT / "nbs/index.ipynb", 4)
    nb.cells = [c for c in nb.cells if not re.search(r"(?m)^#\s*\|\s*(hide|default_exp)\b", c.source)]
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.source = re.sub(r"(?m)^#\s*\|.*\n?", "", cell.source)
    nb.metadata.language_info = {"name": "python"}
    text, _ = MarkdownExporter(config=Config(ClearOutputPreprocessor={"enabled": True})).from_notebook_node(nb)
    text = re.sub(r"\]\(images/", "](nbs/images/", text)  # pictures lie beside the notebook
    return HEAD + re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


if __name__ == "__main__":
    (ROOT / "README.md").write_text(readme(), encoding="utf-8")
