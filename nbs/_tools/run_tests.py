"""Run nbdev_test on each notebook in a process of its own, so that a failure, a crash or a hang has a name.

python nbs/_tools/run_tests.py [NOTEBOOK ...] [--flags slow] [--only ui] [--workers 2] [--limit 600]
Cells flagged `data` run where SPORTS_NB_DATA names a folder. The last lines say what failed and what was skipped.
"""

import argparse
import faulthandler
import json
import multiprocessing as mp
import os
import re
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")  # two workers share the cores; set before numpy and torch load
os.environ["IN_TEST"] = "1"

from execnb.shell import CaptureShell  # noqa: E402
from fastcore.xtras import str2bool  # noqa: E402
from nbdev.config import get_config  # noqa: E402
from nbdev.doclinks import nbglob  # noqa: E402
from nbdev.frontmatter import FrontmatterProc  # noqa: E402
from nbdev.process import NBProcessor  # noqa: E402


def cell_flags(path, flags):
    "How many cells of a notebook carry each flag"
    cells = (c for c in json.loads(path.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == "code")
    lines = [set(re.findall(r"(?m)^\s*#\s*\|\s*(\w+)\s*$", "".join(c["source"]))) & set(flags) for c in cells]
    return Counter(flag for found in lines for flag in found)


def run(path, skip, log, save=None):
    """Run one notebook with nbdev_test; its exit status is 0 when every cell ran.

    To save it with its outputs, which nbdev_test cannot, run its cells here.
    """
    with open(log, "w", encoding="utf-8") as out:
        os.dup2(out.fileno(), 1), os.dup2(out.fileno(), 2)
        if not save:
            os.environ["PYTHONFAULTHANDLER"] = "1"
            command, flags = str(Path(sys.executable).parent / "nbdev_test"), set(get_config().tst_flags.split()) - skip
            os.execv(command, [command, "--path", str(path), "--n_workers", "0", "--flags", " ".join(sorted(flags))])
        faulthandler.enable()
        sys.path.insert(0, str(get_config().config_path))
        os.chdir(path.parent)
        nb = NBProcessor(path, procs=FrontmatterProc, process=True).nb
        if str2bool(getattr(nb, "frontmatter_", {}).get("skip_exec", False)):
            print("skipped: the whole notebook (skip_exec)")
            os._exit(0)

        def not_now(cell):
            directives = getattr(cell, "directives_", None) or {}
            never = directives.get("eval:", [""])[0].lower() == "false"
            return cell.cell_type != "code" or never or "nbdev_export" + "(" in cell.source or skip & directives.keys()

        shell = CaptureShell(path)
        try:
            shell.run_all(nb, exc_stop=True, preproc=not_now)
            status = 0
        except BaseException:  # a cell may raise anything, SystemExit too
            print(shell.prettytb(fname=path))
            status = 1
        if save:
            plain, outputs = (
                json.loads(path.read_text(encoding="utf-8")),
                {c["id"]: c.get("outputs", []) for c in nb.cells if "id" in c},
            )
            for cell in (c for c in plain["cells"] if c["cell_type"] == "code"):
                cell["outputs"] = outputs.get(cell["id"], [])
            save.parent.mkdir(parents=True, exist_ok=True)
            save.write_text(json.dumps(plain), encoding="utf-8")
        sys.stdout.flush()
        os._exit(status)  # without waiting for threads that a notebook left


def run_all(notebooks, skip, workers=2, limit=600, save=None):
    "Run the notebooks, longest file first; yields (path, problem or '', seconds, log)"
    context = mp.get_context("fork" if sys.platform == "linux" else "spawn")
    waiting, running = sorted(notebooks, key=lambda p: p.stat().st_size), {}
    with tempfile.TemporaryDirectory() as logs:
        while waiting or running:
            while waiting and len(running) < workers:
                path = waiting.pop()
                log = Path(logs) / f"{len(waiting)}.log"
                process = context.Process(
                    target=run, args=(path, skip, log, save and save / path.relative_to(get_config().nbs_path))
                )
                process.start()
                running[process] = path, log, time.monotonic()
            time.sleep(0.05)
            for process, (path, log, start) in list(running.items()):
                seconds = time.monotonic() - start
                if process.is_alive() and seconds < limit:
                    continue
                problem = ""
                if process.is_alive():
                    process.kill()
                    problem = f"took longer than {limit} s"
                process.join()
                if not problem and process.exitcode:
                    problem = "an error" if process.exitcode == 1 else f"crashed (exit status {process.exitcode})"
                del running[process]
                yield path, problem, seconds, log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", help="parts of names; all notebooks if none is given")
    parser.add_argument("--flags", default="", help="run the cells with these flags too")
    parser.add_argument("--only", help="only notebooks with cells of this flag, and those cells run")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--limit", type=float, default=600, help="seconds for one notebook")
    args = parser.parse_args()
    config = get_config()
    flags, forced = config.tst_flags.split(), {*args.flags.split(), *([args.only] if args.only else [])}
    if unknown := forced - set(flags):
        parser.error(f"unknown flag {', '.join(sorted(unknown))}; settings.ini has {', '.join(flags)}")
    if os.environ.get("SPORTS_NB_DATA"):
        forced.add("data")
    skip = set(flags) - forced
    notebooks = [Path(p).absolute() for p in nbglob(config.nbs_path, as_path=True)]
    notebooks = [p for p in notebooks if not args.notebooks or any(n in p.stem for n in args.notebooks)]
    flagged = {p: cell_flags(p, flags) for p in notebooks}
    if args.only:
        notebooks = [p for p in notebooks if flagged[p][args.only]]
    if not notebooks:
        parser.error("no notebook to run")

    failed, skips, start = [], [], time.monotonic()
    for path, problem, seconds, log in run_all(notebooks, skip, args.workers, args.limit):
        name = str(path.relative_to(config.nbs_path))
        print(f"{'FAIL' if problem else 'ok':4} {seconds:6.1f} s  {name}", flush=True)
        if problem:
            print(log, flush=True)
            failed.append((name, problem))
        skips += [f"{line} ({name})" for line in log.splitlines() if line.startswith("skipped: ")]
    print(f"{time.monotonic() - start:.0f} s in all, {args.workers} workers")
    for flag in flags if not args.only else ():
        where = {p.stem: flagged[p][flag] for p in notebooks if flag in skip and flagged[p][flag]}
        if where:
            cure = "set SPORTS_NB_DATA" if flag == "data" else f"--flags {flag}"
            skips.append(f"skipped: {sum(where.values())} {flag} cells in {', '.join(where)} ({cure})")
    print(*skips, sep="\n")
    for name, problem in failed:
        print(f"FAILED {name}: {problem}")
    print(f"{args.only or 'notebooks'}: {len(notebooks) - len(failed)} passed, {len(failed)} failed")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
