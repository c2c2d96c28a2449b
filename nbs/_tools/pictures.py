"""The README's picture, nbs/images/dashboard.png: a synthetic clip in the explorer in JupyterLab.

The clip is analysed by the shipped weights.

python nbs/_tools/pictures.py [--browser /usr/bin/chromium]
"""

import argparse
import os
import shutil
import signal
import tempfile
from pathlib import Path

import nbformat
from PIL import Image
from playwright.sync_api import sync_playwright
from ui_check import READY, ROOT, lab

import sports_nb as sn
from sports_nb.synth.clips import make_clip

# the clip of the first lesson
CLIP = dict(action="shooting", performer=2010, seed=2011, n_frames=60, size=(480, 360), reach=(0.7, 0.8))
FRAME = 17
CELL = f"""
import sports_nb as sn
from sports_nb.synth.clips import make_clip
look = dict(angles=("right_knee", "left_knee"), visible=["video", "reference", "estimated", "predicted"])
sn.explore(sn.load("shot.nc"), sn.Clip("shot.mp4"), reference=make_clip(**{CLIP}).poses(), frame={FRAME}, **look)
"""
SHOWN = ".jp-OutputArea-output:has(.snp-figure)"


def photograph(folder, browser):
    "Screenshot of the explorer, as a file"
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(
        nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL.strip())], metadata=kernel),
        folder / "work/shot.ipynb",
    )
    process, address = lab(folder)
    try:
        with sync_playwright() as p:
            page = p.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"]).new_page(
                viewport={"width": 1500, "height": 900}
            )
            page.goto(f"{address}/lab/tree/shot.ipynb?reset", timeout=120000)
            page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=120000)
            page.evaluate(READY)
            page.evaluate(
                "() => { window.jupyterapp.shell.collapseLeft?.(); "
                "window.jupyterapp.commands.execute('notebook:run-all-cells'); }"
            )
            page.wait_for_selector(".snp-cursor", state="attached", timeout=180000)
            page.wait_for_selector(".snp[data-source]", timeout=120000)
            page.wait_for_timeout(5000)
            page.locator(SHOWN).last.evaluate("e => e.scrollIntoView({ block: 'center' })")
            page.wait_for_timeout(2000)
            page.locator(SHOWN).last.screenshot(path=folder / "shot.png")
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)
    return folder / "shot.png"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--browser", default=os.environ.get("CHROMIUM", "/usr/bin/chromium"))
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="pictures_"))
    try:
        (folder / "work").mkdir()
        sn.analyse(make_clip(**CLIP).write(folder / "work/shot.mp4"), progress=False).save(folder / "work/shot.nc")
        with Image.open(photograph(folder, options.browser)) as shot:  # 256 colours keep it under 200 kB
            shot.convert("RGB").quantize(256, kmeans=2, dither=Image.Dither.FLOYDSTEINBERG).save(
                ROOT / "nbs/images/dashboard.png", optimize=True
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"wrote nbs/images/dashboard.png, {(ROOT / 'nbs/images/dashboard.png').stat().st_size / 1e3:.0f} kB")
