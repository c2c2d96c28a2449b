"""The site, without quarto: python nbs/_tools/docs.py writes build/site.

Every notebook is executed and becomes a page as it stands, so that the code of a layer is read where it is taught.
Cells with a flag are shown, not run. Equations become MathML, which browsers draw without a script.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import yaml
from latex2mathml.converter import convert
from nbdev.config import get_config
from run_tests import nbglob, run_all

ROOT = Path(__file__).resolve().parents[2]
BUILD, SITE = ROOT / "build/docs", ROOT / "build/site"
PARTS = {
    "index": "",
    "course": "Course",
    "core": "Core",
    "data": "Data",
    "layers": "Layers",
    "models": "Models",
    "train": "Training",
    "analysis": "Analysis",
    "viz": "Pictures",
    "widgets": "Dashboards",
    "experiments": "Experiments",
    "cli": "Command line",
}
STYLE = """.jp-InputPrompt, .jp-OutputPrompt, .jp-OutputArea-prompt, .prompt {display: none !important}
.jupyter-wrapper .jp-OutputArea-output img {max-width: 100%}
.md-grid {max-width: 76rem}
math[display=block] {margin: 1em 0; overflow-x: auto; font-size: 1.1em}
"""


def execute(into):
    "The notebooks with their outputs"
    config = get_config()
    notebooks = [Path(p).absolute() for p in nbglob(config.nbs_path, as_path=True)]
    failed = []
    for path, problem, seconds, log in run_all(notebooks, set(config.tst_flags.split()), save=into):
        print(f"{'FAIL' if problem else 'ok':4} {seconds:6.1f} s  {path.stem}", flush=True)
        if problem:
            failed.append(f"{path.stem}: {problem}\n{log}")
    if failed:
        sys.exit("these notebooks do not run:\n" + "\n".join(failed))


def equations(text):
    "LaTeX between dollars, outside code, as MathML"

    def draw(found):
        if found["code"]:
            return found["code"]
        return convert(found["block"] or found["inline"], display="block" if found["block"] else "inline")

    return re.sub(
        r"(?s)(?P<code>```.*?```|`[^`\n]*`)|\$\$(?P<block>.+?)\$\$|(?<![\\$\w])\$(?P<inline>[^$\n]+?)\$(?!\d)",
        draw,
        text,
    )


def page(nb):
    "An executed notebook as a page"
    hidden = re.compile(r"(?m)^\s*#\s*\|\s*(hide|default_exp)\b")
    nb.cells = [c for c in nb.cells if c.cell_type != "code" or not hidden.search(c.source)]
    for cell in nb.cells:
        if cell.cell_type == "markdown":
            cell.source = equations(cell.source)
        else:
            cell.source = re.sub(r"(?m)^\s*#\s*\|.*\n?", "", cell.source)
            for output in cell.get("outputs", []):
                for mime in [m for m in output.get("data", {}) if "widget" in m]:
                    del output["data"][mime]  # a widget needs a kernel; its text says what it is
    return nb


def main():
    os.chdir(ROOT)
    config = get_config()
    shutil.rmtree(BUILD, ignore_errors=True)
    execute(BUILD / "executed")
    pages, nav = BUILD / "pages", {part: [] for part in PARTS.values()}
    for path in sorted((BUILD / "executed").rglob("*.ipynb")):
        name = path.relative_to(BUILD / "executed")
        (pages / name).parent.mkdir(parents=True, exist_ok=True)
        nb = page(nbformat.read(path, 4))
        nbformat.write(nb, pages / name)
        title = re.search(r"(?m)^# (.+)$", "\n".join(c.source for c in nb.cells if c.cell_type == "markdown"))
        part = name.parts[0] if len(name.parts) > 1 else re.sub(r"^\d+[a-z]?_", "", name.stem).split(".")[0]
        nav[PARTS[part]].append({title[1] if title else name.stem: str(name)})
    if (ROOT / "nbs/images").is_dir():
        shutil.copytree(ROOT / "nbs/images", pages / "images")
    (pages / "style.css").write_text(STYLE, encoding="utf-8")
    settings = {
        "site_name": config.title,
        "site_description": config.description,
        "docs_dir": str(pages),
        "site_dir": str(SITE),
        "theme": {
            "name": "material",
            "font": False,
            "features": ["navigation.sections", "navigation.top", "search.highlight"],
        },
        "plugins": [
            "search",
            {"mkdocs-jupyter": {"execute": False, "include_source": False, "include_requirejs": False}},
        ],
        "extra_css": ["style.css"],
        "nav": [*nav.pop(""), *({part: entries} for part, entries in nav.items() if entries)],
    }
    (BUILD / "mkdocs.yml").write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    subprocess.run([sys.executable, "-m", "mkdocs", "build", "-q", "-f", BUILD / "mkdocs.yml"], check=True)
    print(f"the site is in {SITE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
