"""The gates of the project, all in one: python nbs/_tools/check_nbs.py

Each function below is one gate: it yields a sentence for everything that is wrong.
"""

import ast
import copy
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tokenize
import zipfile
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from nbdev.clean import clean_nb
from nbdev.config import get_config
from readme import PAGES, written

ROOT = Path(__file__).resolve().parents[2]
# cells; characters of exported code without comments, docstrings and white space; kB
MAX_CELLS, MAX_CODE, MAX_NOTEBOOK_KB, MAX_IMAGE_KB = 60, 13000, 200, 200
BY_HAND = {"__main__.py", "static", "weights"}  # inside the package, beside every __init__.py

# What a part may import from the others (the direction of imports).
ROAD = ["core", "io", "synth", "data", "layers", "models", "train", "analysis", "experiments", "cli"]
MAY_IMPORT = {part: set(ROAD[: i + 1]) for i, part in enumerate(ROAD)}
for part in ("analysis", "experiments", "cli"):
    MAY_IMPORT[part] |= {"assessment", "viz"}
MAY_IMPORT["cli"].add("widgets")
MAY_IMPORT["assessment"] = {"core", "assessment"}
MAY_IMPORT["viz"] = {"core", "io", "assessment", "viz"}
MAY_IMPORT["widgets"] = {"core", "io", "assessment", "viz", "widgets"}
WITHOUT_TORCH = ("core", "io", "synth", "data", "assessment", "viz", "widgets")
TORCH = ("torch", "accelerate", "safetensors")


@cache
def files():
    "Every file that is, or could be, committed"
    out = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, check=True
    )
    return [ROOT / name for name in out.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


@cache
def notebooks():
    "Every notebook but those that nbdev skips too, as path from nbs/ -> content"
    paths = [p for p in files() if p.suffix == ".ipynb"]
    names = {str(p.relative_to(ROOT)): p for p in paths if not any(part.startswith("_") for part in p.parts)}
    return {name: json.loads(p.read_text(encoding="utf-8")) for name, p in names.items()}


def source(cell):
    return "".join(cell["source"])


def has(cell, directive):
    return cell["cell_type"] == "code" and re.search(rf"(?m)^\s*#\s*\|\s*{directive}\b", source(cell))


def exported_to(nb):
    "The module a notebook says it exports to"
    found = re.findall(
        r"(?m)^\s*#\s*\|\s*default_exp\s+(\S+)", "\n".join(source(c) for c in nb["cells"] if c["cell_type"] == "code")
    )
    return found[0] if found else None


def code(cell):
    "The syntax tree of a code cell, without IPython's magics"
    return ast.parse(re.sub(r"(?m)^(\s*)[%!].*$", r"\1pass", source(cell)))


def modules():
    "Modules of the package as path -> dotted name"
    package = ROOT / "sports_nb"
    paths = [p for p in package.rglob("*.py") if "__pycache__" not in p.parts]
    return {p: ".".join(p.relative_to(package).with_suffix("").parts) for p in paths}


def clean():
    "notebooks clean: no outputs, no widget state, no stray metadata"
    for name, nb in notebooks().items():
        if "widgets" in nb["metadata"]:
            yield f"{name} holds widget state"
        if any(c.get("outputs") for c in nb["cells"]):
            yield f"{name} holds outputs"
        cleaned = copy.deepcopy(nb)
        clean_nb(cleaned, clear_all=True)
        if cleaned != nb:
            yield f"{name} is not clean: run nbdev_clean"


def code_size(cell):
    "Characters of a cell's code: documentation is not counted, so that nobody saves on it"
    tree, skip = code(cell), (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    docs = [n.body[0] for n in ast.walk(tree) if isinstance(n, kinds) and ast.get_docstring(n) is not None]
    tokens = tokenize.generate_tokens(io.StringIO(source(cell)).readline)
    size = sum(len(t.string) for t in tokens if t.type not in skip)
    return size - sum(len(ast.get_source_segment(source(cell), doc)) for doc in docs)


def size():
    "notebooks and pictures small"
    for name, nb in notebooks().items():
        exported = sum(code_size(c) for c in nb["cells"] if has(c, "exports?"))
        kb = (ROOT / name).stat().st_size / 1000
        if len(nb["cells"]) > MAX_CELLS:
            yield f"{name} has {len(nb['cells'])} cells, more than {MAX_CELLS}: split it"
        if exported > MAX_CODE:
            yield f"{name} exports {exported} characters of code, more than {MAX_CODE}: split it"
        if kb > MAX_NOTEBOOK_KB:
            yield f"{name} has {kb:.0f} kB, more than {MAX_NOTEBOOK_KB}"
    for path in files():
        if (
            path.suffix.lower() in (".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp")
            and path.stat().st_size > MAX_IMAGE_KB * 1000
        ):
            yield f"{path.relative_to(ROOT)} has {path.stat().st_size / 1000:.0f} kB, more than {MAX_IMAGE_KB}"


def cells():
    "cells: imports alone, no relative imports, every code cell parses"
    for name, nb in notebooks().items():
        for i, cell in enumerate(nb["cells"]):
            if cell["cell_type"] != "code" or source(cell).lstrip().startswith("%%"):
                continue
            try:
                body = code(cell).body
            except SyntaxError as error:
                yield f"{name} cell {i}: {error}"
                continue
            imports = [n for n in body if isinstance(n, (ast.Import, ast.ImportFrom))]
            if imports and len(imports) < len(body):
                yield f"{name} cell {i} mixes imports with other code: {ast.unparse(imports[0])}"
            if any(isinstance(n, ast.ImportFrom) and n.level for n in ast.walk(code(cell))):
                yield f"{name} cell {i} imports relatively; write from sports_nb... import"


def export():
    "export in sync, no orphan and no duplicate module"
    owners = defaultdict(list)
    for name, nb in notebooks().items():
        if exported_to(nb):
            owners[exported_to(nb)].append(name)
        elif any(has(c, "exports?") for c in nb["cells"]):
            yield f"{name} exports cells but names no default_exp"
    for module, names in owners.items():
        if len(names) > 1:
            yield f"module {module} is exported by {' and '.join(names)}"
        if len(names) == 1 and not re.fullmatch(r"\d+[a-zA-Z]?_" + re.escape(module), Path(names[0]).stem):
            yield f"{names[0]} exports {module}: the notebook's name must say the module"
    with tempfile.TemporaryDirectory() as there:
        there = Path(there)
        shutil.copy(ROOT / "settings.ini", there)
        for name in notebooks():
            (there / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, there / name)
        (there / "sports_nb").mkdir()
        shutil.copy(ROOT / "sports_nb/__init__.py", there / "sports_nb")
        done = subprocess.run(
            [Path(sys.executable).with_name("nbdev_export")], cwd=there, capture_output=True, text=True
        )
        if done.returncode:
            yield f"nbdev_export fails: {done.stderr.strip()[-400:]}"
            return
        fresh = {p.relative_to(there) for p in there.glob("sports_nb/**/*.py")}
        ours = {p.relative_to(ROOT) for p in modules()}
        for path in sorted(fresh | ours):
            if path not in ours:
                yield f"{path} is missing: run nbdev_export"
            elif path not in fresh and path.name not in BY_HAND | {"__init__.py"}:
                yield f"{path} has no notebook any more: delete it"
            elif path in fresh and (there / path).read_bytes() != (ROOT / path).read_bytes():
                yield f"{path} differs from its notebook: run nbdev_export"


def names():
    "no exported name twice"
    exporting = defaultdict(set)
    for path, module in modules().items():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
                for name in node.value.elts:
                    if isinstance(name, ast.Constant):
                        exporting[name.value].add(module)
    for name, where in sorted(exporting.items()):
        if len(where) > 1:
            yield f"{name} is exported by {' and '.join(sorted(where))}: rename one, or begin it with an underscore"


def readme_in_sync():
    "README.md and results/README.md in sync with their notebooks"
    for notebook, page in PAGES.items():
        if not (ROOT / page).exists() or (ROOT / page).read_text(encoding="utf-8") != written(notebook):
            yield f"{page} differs from {notebook}: run python nbs/_tools/readme.py"


def direction():
    "imports of the exported code go from core to cli; no torch up to data, in assessment, viz and widgets"
    for path, module in modules().items():
        part = module.split(".")[0]
        if part.startswith("_"):
            continue
        if part not in MAY_IMPORT:
            yield f"{path.relative_to(ROOT)}: {part} is no part of the package"
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [a.name for a in node.names]
            elif isinstance(node, ast.ImportFrom):
                # nbdev writes `from ..core.poses import x`: count the dots up from the module's package
                base = ["sports_nb", *module.split(".")][: -node.level] if node.level else []
                names = [".".join([*base, *filter(None, [node.module])])]
                if names == ["sports_nb"]:
                    names = [f"sports_nb.{a.name}" for a in node.names]
            for name in names:
                top, *rest = name.split(".")
                where = f"{path.relative_to(ROOT)} line {node.lineno}"
                if top in TORCH and part in WITHOUT_TORCH:
                    yield f"{where}: {part} must not import {top}"
                if top == "sports_nb" and (not rest or not rest[0].startswith("_") and rest[0] not in MAY_IMPORT[part]):
                    yield f"{where}: {part} must not import {name}"


def light():
    "import sports_nb in under 0.5 s; what has no torch really loads without it; every verb is there"
    program = "import time; t = time.perf_counter(); import sports_nb; print(time.perf_counter() - t)"
    seconds = min(
        float(
            subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        )
        for _ in range(3)
    )
    if seconds > 0.5:
        yield f"import sports_nb takes {seconds:.2f} s"
    names = sorted(
        f"sports_nb.{m}" for m in modules().values() if m.split(".")[0] in WITHOUT_TORCH and not m.endswith("__init__")
    )
    program = """if True:
        import importlib, sys
        for name in sys.argv[1:]:
            importlib.import_module(name)
            if "torch" in sys.modules:
                sys.exit(f"{name} brings torch")
        import sports_nb
        for verb in sports_nb.__all__:
            getattr(sports_nb, verb)"""
    done = subprocess.run([sys.executable, "-c", program, *names], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        yield done.stderr.strip().splitlines()[-1]


HELP = """if True:
    import dataclasses, functools, importlib, inspect, re, sys

    def explained(name, thing, takes=None):
        text = inspect.getdoc(thing) or ""
        if not text or text.startswith(("Parameters\\n---", "Returns\\n---")):
            print(f"{name} has no docstring")
        for p in (inspect.signature(thing).parameters if takes is None else takes).values():
            if p.name in ("self", "cls") or hasattr(p.annotation, "__metadata__"):  # the command line's: typer says it
                continue
            if not re.search(rf"(?m)^[*]*{p.name}( : .+)?\\n    \\S", text):
                print(f"{name} does not say what {p.name} is: write a comment behind it")

    ours = lambda x: (inspect.isfunction(x) or inspect.isclass(x)) and x.__module__.startswith("sports_nb")
    for module in map(importlib.import_module, sys.argv[1:]):
        for name in module.__all__:
            thing, name = getattr(module, name), f"{module.__name__}.{name}"
            if not ours(thing) or thing.__module__ != module.__name__:
                continue
            if inspect.isfunction(thing):
                explained(name, thing)
                continue
            data, init = dataclasses.is_dataclass(thing), ours(vars(thing).get("__init__"))
            own = lambda k: not data or k in thing.__annotations__  # what is inherited is explained there
            takes = inspect.signature(thing).parameters if init else {}
            explained(name, thing, {k: p for k, p in takes.items() if own(k)})
            for part, method in vars(thing).items():
                wanted = part[0] != "_" or part == "__init__" and not data
                if wanted and isinstance(method, (property, functools.cached_property)):
                    explained(f"{name}.{part}", method, {})
                elif wanted and ours(method := getattr(method, "__func__", method)) and inspect.isfunction(method):
                    explained(f"{name}.{part}", method)"""


def helpful():
    "help() of everything public says what it is, and what each parameter is"
    names = sorted(f"sports_nb.{m}" for m in modules().values() if not m.startswith("_") and not m.endswith("__init__"))
    done = subprocess.run([sys.executable, "-c", HELP, *names], cwd=ROOT, capture_output=True, text=True)
    yield from done.stdout.splitlines()
    if done.returncode:
        yield done.stderr.strip().splitlines()[-1]


def wheel():
    "the wheel contains every module, the JavaScript, the weights, with a compiler also involution's, and nothing else"
    with tempfile.TemporaryDirectory() as there:
        there = Path(there)
        for path in files():  # built away from the checkout, from what can be committed
            name = path.relative_to(ROOT)
            if name.parts[0] == "sports_nb" or len(name.parts) == 1:
                (there / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, there / "tree" / name)
        pip = [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "-q",
            "--no-deps",
            "--no-build-isolation",
            "--disable-pip-version-check",
        ]
        done = subprocess.run([*pip, "-w", there, there / "tree"], capture_output=True, text=True)
        if done.returncode:
            yield f"the wheel does not build: {done.stderr.strip()[-400:]}"
            return
        held = {n for n in zipfile.ZipFile(next(there.glob("*.whl"))).namelist() if ".dist-info/" not in n}
    compiled = {n for n in held if n.startswith("sports_nb/layers/_involution.")}
    if shutil.which("c++") and not compiled:
        yield (
            "the wheel lacks sports_nb/layers/_involution, though there is a compiler: see the end of `pip install "
            "-v .`"
        )
    held -= compiled
    kept = [p for p in files() if p.parent in (ROOT / "sports_nb/static", ROOT / "sports_nb/weights")]
    wanted = {str(p.relative_to(ROOT)) for p in [*modules(), *kept]}
    yield from (f"the wheel lacks {name}" for name in sorted(wanted - held))
    yield from (f"the wheel holds {name}" for name in sorted(held - wanted))


def paths():
    "no path of this machine in any file"
    first = "/" + ROOT.parts[1] + "/"  # where this checkout lies; system folders are the same on every machine
    own = [] if first in ("/usr/", "/opt/", "/srv/", "/var/") else [re.escape(first)]
    pattern = re.compile(r"(?<![\w.~}:/-])(" + "|".join([*own, r"/(?:home|Users|root)/\w", r"[A-Z]:\\\\?Users"]) + ")")
    for path in files():
        if path.suffix in (".safetensors", ".png", ".jpg", ".gif", ".mp4", ".nc"):
            continue
        for i, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if found := pattern.search(line):
                near = line[max(0, found.start() - 20) : found.end() + 30]
                yield f"{path.relative_to(ROOT)} line {i}: {near.strip()}"


def style():
    "one style: ruff format and ruff check"
    ruff = [sys.executable, "-m", "ruff"]
    for args in (
        ["format", "--check", "-q", "nbs"],
        ["check", "-q", "--output-format", "concise", "sports_nb", "nbs/_tools"],
        ["check", "-q", "--output-format", "concise", "--select", "E501", "nbs"],
    ):
        done = subprocess.run([*ruff, *args, "setup.py"], cwd=ROOT, capture_output=True, text=True)
        yield from (done.stdout + done.stderr).strip().splitlines()


GATES = [clean, size, cells, export, readme_in_sync, names, direction, light, helpful, wheel, paths, style]


def gate(check):
    try:
        return list(check())
    except Exception as error:  # a gate that breaks has not passed
        return [f"{type(error).__name__}: {error}"]


def main():
    os.chdir(ROOT)
    get_config()
    with ThreadPoolExecutor(3) as pool:  # most of the time is spent in child processes
        results = list(pool.map(gate, GATES))
    for check, problems in zip(GATES, results):
        print(f"{'FAIL' if problems else 'ok':4} {check.__doc__}")
    for check, problems in zip(GATES, results):
        for problem in problems[:20]:
            print(f"FAILED {check.__name__}: {problem}")
        if len(problems) > 20:
            print(f"FAILED {check.__name__}: and {len(problems) - 20} more")
    failed = sum(map(bool, results))
    print(f"gates: {len(GATES) - failed} passed, {failed} failed")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
