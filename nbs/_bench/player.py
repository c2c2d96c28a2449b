"""The player on a 60-second clip of 720p at 30 frames/s, in JupyterLab in headless Chromium.

    python nbs/_bench/player.py [--browser /usr/bin/chromium] [--write]

How long from the start of the cell until the first frame is drawn (the proxy is in the cache, a fresh kernel has
imported the package), how long a step and a jump take until the frame is on screen, whether every frame drawn was the
frame asked for, what crosses from the kernel to the browser, and what memory the browser takes (PSS) before the
player is there and after all of this. --write puts the figures into results/player.json.
"""

import argparse
import json
import os
import platform
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "_tools"))
import ui_check as ui

N, SIZE, SIDE = 1800, (1280, 720), 32  # squares of 24 px in the proxy, which is 960 px wide
TO_REACH = dict(
    ready_s=6, step_ms=dict(median=20, p90=40), seek_ms=dict(median=45, p90=70), wrong_frames=0, browser_mb=600
)  # of the tab with JupyterLab and the player in it


def family(pid):
    "A process and all that it started"
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            pass
    found, new = set(), {pid}
    while new:
        found |= new
        new = {p for p, parent in parents.items() if parent in new} - found
    return found


def browser_mb():
    "PSS of the browser's processes, MB: all of them, and the tab alone"
    total, tab = 0, 0
    for p in family(os.getpid()):
        try:
            command = Path(f"/proc/{p}/cmdline").read_text()
            if "chrom" not in command.split("\0")[0]:
                continue
            own = int(re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{p}/smaps_rollup").read_text(), re.M)[1])
        except OSError:
            continue
        total += own
        if "--type=renderer" in command:
            tab += own
    return dict(all_processes=round(total / 1024), tab=round(tab / 1024))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--browser", default=os.environ.get("CHROMIUM", "/usr/bin/chromium"))
    parser.add_argument("--write", action="store_true", help="write results/player.json")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench_player_"))
    (folder / "work").mkdir()
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    made = ui.clip_code(N, SIZE, SIDE).strip().removesuffix("player")
    keep = "estimated.to_netcdf('estimated.nc'); predicted.to_netcdf('predicted.nc')"
    load = (
        "import xarray as xr\nfrom sports_nb.io.video import Clip\nfrom sports_nb.widgets.player import "
        "Player\nestimated, predicted, clip = xr.load_dataset('estimated.nc'), xr.load_dataset('predicted.nc'), "
        "Clip('barcode.mp4')"
    )
    for name, cells in dict(
        make=[made + keep], play=[load, "player = Player([estimated, predicted], clip)\nplayer"]
    ).items():
        nbformat.write(
            nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c.strip()) for c in cells], metadata=kernel),
            folder / "work" / f"{name}.ipynb",
        )
    process, address = ui.lab(folder)
    random.seed(0)
    try:
        with sync_playwright() as p:
            browser = p.chromium.launch(executable_path=options.browser, args=["--no-sandbox", "--disable-gpu"])
            page = browser.new_context(viewport={"width": 1500, "height": 1050}).new_page()
            received = []
            page.on("websocket", lambda s: s.on("framereceived", lambda data: received.append(len(data))))
            if errors := ui.run_notebook(page, address, "make.ipynb"):
                raise SystemExit(errors)
            page.goto(f"{address}/lab/tree/play.ipynb?reset")
            page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=90000)
            page.evaluate(ui.READY)
            before, received[:] = browser_mb(), []
            page.evaluate(
                "() => { window.jupyterapp.shell.collapseLeft?.(); window.panel.content.activeCellIndex = 0; "
                "window.jupyterapp.commands.execute('notebook:run-cell'); }"
            )
            page.wait_for_function(
                "() => window.panel.content.widgets[0].model.executionCount !== null && "
                "window.panel.content.widgets[0].model.executionState !== 'running'",
                timeout=120000,
            )
            page.wait_for_timeout(1000)
            began = time.monotonic()
            page.evaluate(
                "() => { window.panel.content.activeCellIndex = 1; "
                "window.jupyterapp.commands.execute('notebook:run-cell'); }"
            )
            page.wait_for_selector(".snp[data-source]", timeout=120000)
            page.wait_for_function("() => /frame 0 /.test(document.querySelector('.snp-readout').textContent)")
            ready = round(time.monotonic() - began, 1)
            crossed = round(sum(received) / 1e6, 1)
            figures = ui.check_player(page, [random.randrange(N) for _ in range(200)])
            proxy = int(page.evaluate(ui.EVALUATE, "len(player._video['data'])"))
            poses = int(page.evaluate(ui.EVALUATE, "sum(b.nbytes for b in player._buffers)"))
            figures |= dict(
                ready_s=ready,
                browser_mb=browser_mb(),
                browser_mb_before=before,
                from_kernel_mb=crossed,
                proxy_mb=round(proxy / 1e6, 1),
                poses_mb=round(poses / 1e6, 2),
            )
            version = browser.version
            browser.close()
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)
        shutil.rmtree(folder, ignore_errors=True)
    model = (
        re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text()) if Path("/proc/cpuinfo").exists() else None
    )
    record = dict(
        command="python nbs/_bench/player.py --write",
        commit=subprocess.run(["git", "rev-parse", "HEAD"], cwd=ui.ROOT, capture_output=True, text=True).stdout.strip(),
        date=time.strftime("%Y-%m-%d"),
        data=(
            f"synthetic barcode clip, {N} frames, {SIZE[0]}x{SIZE[1]}, 30 frames/s, H.264 proxy, JupyterLab in "
            "headless Chromium"
        ),
        browser=version,
        python=platform.python_version(),
        cpu=model[1] if model else platform.processor(),
        cores=os.cpu_count(),
        load_1_min=round(os.getloadavg()[0], 2),
        to_reach=TO_REACH,
        **figures,
    )
    print(json.dumps(record, indent=1))
    if options.write:
        path = ui.ROOT / "results" / "player.json"
        path.with_suffix(".tmp").write_text(json.dumps(record, indent=1) + "\n")
        os.replace(path.with_suffix(".tmp"), path)


if __name__ == "__main__":
    main()
