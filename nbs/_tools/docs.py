"""The site, without quarto: python nbs/_tools/docs.py [NOTEBOOK ...] [--limit 600] writes build/site.

Every notebook is executed and becomes a page as it stands, so that the code of a layer is read where it is taught.
Cells with a flag are shown, not run; imports and checks without a result are folded; of cells with `echo: false` only
the result is shown. Behind what is exported stands a table of its parameters; the page "API" begins with the verbs.
Equations become MathML, which browsers draw without a script. With names (parts of them) only these notebooks are
executed; the others keep the outputs of the last build, or have none.
"""

import argparse
import ast
import html
import importlib
import inspect
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import nbformat
import yaml
from latex2mathml.converter import convert
from nbdev.config import get_config
from run_tests import nbglob, run_all

import sports_nb as sn
from sports_nb.core.docments import FUNCTIONS, SECTION, fields, signature

ROOT = Path(__file__).resolve().parents[2]
BUILD, SITE = ROOT / "build/docs", ROOT / "build/site"
PARTS = {
    "index": "",
    "results": "",
    "course": "Course",
    "core": "Core",
    "io": "Files and video",
    "synth": "Simulator",
    "data": "Training data",
    "layers": "Layers",
    "models": "Models",
    "train": "Training",
    "assessment": "Assessment",
    "analysis": "Analysis",
    "viz": "Pictures",
    "widgets": "Dashboards",
    "experiments": "Experiments",
    "cli": "Command line",
}
# 120 columns of code fit beside the navigation at 1300 px
STYLE = """.jp-InputPrompt, .jp-OutputPrompt, .jp-OutputArea-prompt, .prompt {display: none !important}
.jupyter-wrapper .jp-OutputArea-output img {max-width: 100%}
.md-grid {max-width: 76rem}
.jupyter-wrapper .highlight pre, .jupyter-wrapper details pre, .md-typeset pre > code {font-size: 12.5px}
.jupyter-wrapper details {margin: .5em 0} .jupyter-wrapper summary {cursor: pointer; opacity: .7}
.md-typeset .what {margin: 1.2em 0 .2em}
.jupyter-wrapper table, .md-typeset table:not([class]) {font-size: .7rem; display: table; width: 100%; margin: 0 0 1em}
.jupyter-wrapper td, .jupyter-wrapper th {text-align: left !important; vertical-align: top}
math[display=block] {margin: 1em 0; overflow-x: auto; font-size: 1.1em}
"""


def execute(into, names, limit):
    "The notebooks with their outputs"
    config = get_config()
    notebooks = [Path(p).absolute() for p in nbglob(config.nbs_path, as_path=True)]
    kept = {into / p.relative_to(config.nbs_path): p for p in notebooks}
    for old in set(into.rglob("*.ipynb")) - kept.keys():
        old.unlink()  # its notebook has another name now
    for copy, path in kept.items():
        if names and not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
    chosen = [p for p in notebooks if not names or any(name in p.stem for name in names)]
    failed = []
    for path, problem, seconds, log in run_all(chosen, set(config.tst_flags.split()), limit=limit, save=into):
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


def plain(text):
    "Text that no Markdown reader takes for more than it is; what is between backticks becomes code"
    safe = html.escape(text, False).translate({ord(c): f"&#{ord(c)};" for c in "|*_[]"}).split("`")
    return "".join(f"<code>{part}</code>" if i % 2 else part for i, part in enumerate(safe))


def table(entries, returned=("", "")):
    "Parameters, and what is returned, as a table of Markdown"
    rows = [(f"`{name}`", kind, default, text) for name, kind, default, text in entries]
    rows += [("returns", returned[0], "", returned[1])] if returned[1] or returned[0] not in ("", "None") else []
    code = lambda v: plain(f"`{v}`") if v else ""
    lines = [
        f"| {plain(name)} | {code(kind)} | {code(default)} | {plain(text)} |" for name, kind, default, text in rows
    ]
    return ["| name | type | default | what |", "| --- | --- | --- | --- |", *lines, ""] if rows else []


def described(source):
    "What a cell exports: (name, first line, table) of each public function, class and method"
    lines, out = source.splitlines(), []

    def visit(nodes, before=""):
        for node in nodes:
            if not isinstance(node, (*FUNCTIONS, ast.ClassDef)) or node.name.startswith("_"):
                continue
            first, rows = (ast.get_docstring(node) or "").split("\n")[0], []
            if isinstance(node, ast.ClassDef):
                init = next((n for n in node.body if getattr(n, "name", "") == "__init__"), None)
                rows = table(signature(init, lines)[0] if init else fields(node, lines))
            else:
                rows = table(*signature(node, lines))
            out.append((before + node.name, first, rows))
            if isinstance(node, ast.ClassDef):
                visit(node.body, f"{node.name}.")

    visit(ast.parse(source).body)
    return out


def what(name, first, rows):
    "The lines of Markdown that describe a name; its anchor is the name"
    return [f'<p class="what" id="{name}"><code>{name}</code> {plain(first)}</p>', "", *rows]


def sections(text):
    "Errors, notes and examples of a docstring as Markdown"
    for title, body in zip(*[iter(SECTION.split(text)[1:])] * 2):
        yield f"**{title}**\n"
        body = body.strip()
        if title == "Examples":
            yield f"```python\n{body}\n```\n"
        elif title in ("Raises", "Warns"):
            entries = re.findall(r"(?m)^(\S.*)\n((?:    .*\n?)+)", body)
            yield "".join(f"- `{name}`: {plain(' '.join(about.split()))}\n" for name, about in entries)
        else:
            yield plain(body) + "\n"


def api(names):
    "The page of the verbs, and of all that a module exports; `names` holds each module's notebook"
    lines = ["# API", "", "The verbs of `import sports_nb as sn`, then every module.", ""]
    for verb in sn.__all__:
        thing = getattr(sn, verb)
        source = textwrap.dedent(inspect.getsource(thing))
        node = ast.parse(source).body[0]
        _, first, rows = described(source)[0]
        notebook = names[thing.__module__.removeprefix("sports_nb.")]
        lines += [f"## sn.{verb}", "", plain(first), "", *rows, *sections(ast.get_docstring(node))]
        lines += [f"[Where it is taught]({notebook}#{thing.__qualname__})", ""]
    lines += ["## Modules", ""]
    for module, notebook in names.items():
        exported = importlib.import_module(f"sports_nb.{module}")
        own = [n for n in exported.__all__ if getattr(getattr(exported, n), "__module__", "") == exported.__name__]
        about = lambda name, of=exported: plain((inspect.getdoc(getattr(of, name)) or "").split("\n")[0])
        rows = [f"| [`{name}`]({notebook}#{name}) | {about(name)} |" for name in own]
        lines += [f"### {module}", "", plain(exported.__doc__ or ""), ""]
        lines += ["| name | what |", "| --- | --- |", *rows, ""] if rows else []
    return "\n".join(lines)


def folded(sources):
    "Code without a result, as Markdown that opens on a click"
    body = "\n\n".join(f"```python\n{source.strip()}\n```" for source in sources)
    return nbformat.v4.new_markdown_cell(f"<details><summary>Show code</summary>\n\n{body}\n\n</details>")


def page(nb):
    "An executed notebook as a page"
    hidden = re.compile(r"(?m)^\s*#\s*\|\s*(hide|default_exp)\b")
    cells, nb.cells, fold = [c for c in nb.cells if c.cell_type != "code" or not hidden.search(c.source)], [], []

    def show(*shown):
        nb.cells += [folded(fold)] * bool(fold) + [*shown]
        fold.clear()

    for cell in cells:
        if cell.cell_type == "markdown":
            cell.source = equations(cell.source)
            show(cell)
            continue
        if re.search(r"(?m)^\s*#\s*\|\s*echo: false\b", cell.source):
            told = [o["data"]["text/markdown"] for o in cell.get("outputs", []) if "text/markdown" in o.get("data", {})]
            show(*(nbformat.v4.new_markdown_cell(equations("".join(text))) for text in told))
            continue
        exported = re.search(r"(?m)^\s*#\s*\|\s*exports?\b", cell.source)
        cell.source = re.sub(r"(?m)^\s*#\s*\|.*\n?", "", cell.source)
        for output in cell.get("outputs", []):
            for mime in [m for m in output.get("data", {}) if "widget" in m]:
                del output["data"][mime]  # a widget needs a kernel; its text says what it is
        if re.match(r"(import|from) ", cell.source) or not exported and not cell.get("outputs"):
            fold.append(cell.source)
            continue
        told = [line for entry in (described(cell.source) if exported else []) for line in what(*entry)]
        show(cell, *[nbformat.v4.new_markdown_cell("\n".join(told))] * bool(told))
    show()
    return nb


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", help="parts of names; all notebooks are executed if none is given")
    parser.add_argument("--limit", type=float, default=600, help="seconds for one notebook")
    args = parser.parse_args()
    os.chdir(ROOT)
    config = get_config()
    shutil.rmtree(BUILD / "pages" if args.notebooks else BUILD, ignore_errors=True)
    execute(BUILD / "executed", args.notebooks, args.limit)
    pages, nav, exporting = BUILD / "pages", {part: [] for part in PARTS.values()}, {}
    for path in sorted((BUILD / "executed").rglob("*.ipynb")):
        name = path.relative_to(BUILD / "executed")
        (pages / name).parent.mkdir(parents=True, exist_ok=True)
        nb = page(nbformat.read(path, 4))
        nbformat.write(nb, pages / name)
        title = re.search(r"(?m)^# (.+)$", "\n".join(c.source for c in nb.cells if c.cell_type == "markdown"))
        part = name.parts[0] if len(name.parts) > 1 else re.sub(r"^\d+[a-z]?_", "", name.stem).split(".")[0]
        nav[PARTS[part]].append({title[1] if title else name.stem: str(name)})
        if len(name.parts) == 1 and (module := re.fullmatch(r"\d+[a-z]?_(.+)", name.stem)):
            exporting[module[1]] = str(name)
    (pages / "api.md").write_text(api(exporting), encoding="utf-8")
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
            "features": ["navigation.sections", "navigation.top", "search.highlight", "toc.integrate"],
        },
        "plugins": [
            "search",
            {"mkdocs-jupyter": {"execute": False, "include_source": False, "include_requirejs": False}},
        ],
        "extra_css": ["style.css"],
        "nav": [*nav.pop(""), {"API": "api.md"}, *({part: entries} for part, entries in nav.items() if entries)],
    }
    (BUILD / "mkdocs.yml").write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    subprocess.run([sys.executable, "-m", "mkdocs", "build", "-q", "-f", BUILD / "mkdocs.yml"], check=True)
    print(f"the site is in {SITE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
