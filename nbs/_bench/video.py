"""Reading video: `Clip` against cv2.VideoCapture, on the same files in the same run.

    python nbs/_bench/video.py             speed in order, at random and backwards, and how many frames were wrong
    python nbs/_bench/video.py --memory    peak memory of reading 1 and 10 minutes, each in a process of its own

Every frame carries its number as a barcode, so a wrong frame is seen. Add --write to put the figures in
results/video.json.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from importlib import metadata
from pathlib import Path

import av
import cv2
import numpy as np

from sports_nb.io.video import Clip
from sports_nb.io.video_writer import write_video

BITS, SIDE, FPS = 12, 24, 30


def number_frames(n, size):
    "Moving texture with the frame's number as squares along the upper edge"
    w, h = size
    grain = np.random.default_rng(0).integers(0, 50, (h, w, 1), np.uint8)
    ramp = np.broadcast_to(np.linspace(40, 180, w, dtype=np.uint8)[None, :, None], (h, w, 3))
    for i in range(n):
        image = ramp + np.roll(grain, (i, 3 * i), (0, 1))
        image[:SIDE, : BITS * SIDE] = 255 * np.repeat((i >> np.arange(BITS)) & 1, SIDE)[None, :, None].astype(np.uint8)
        yield image


def number(image):
    return int(((image[SIDE // 2, SIDE // 2 : BITS * SIDE : SIDE].mean(-1) > 127) << np.arange(BITS)).sum())


def camera_file(path, n, size, times=None):
    "As a camera writes it: x264's defaults, B-frames, up to 250 frames between key frames"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "medium", "crf": "21"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 90000)
        for i, image in enumerate(number_frames(n, size)):
            frame = av.VideoFrame.from_ndarray(image, "rgb24")
            frame.pts, frame.time_base = round(90000 * (i / FPS if times is None else times[i])), Fraction(1, 90000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


class OpenCV:
    "The usual way: set the frame number, read"

    def __init__(self, path):
        self.video = cv2.VideoCapture(str(path))

    def __getitem__(self, i):
        self.video.set(cv2.CAP_PROP_POS_FRAMES, i)
        ok, image = self.video.read()
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB) if ok else None

    def frames(self):
        self.video.set(cv2.CAP_PROP_POS_FRAMES, 0)
        i = 0
        while True:
            ok, image = self.video.read()
            if not ok:
                return
            yield i, cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
            i += 1


READERS = {"Clip": Clip, "cv2.VideoCapture": OpenCV}


def in_order(make, path):
    "Frames per second of reading the whole file, opening included; CPU ms a frame; wrong frames"
    wall, cpu = time.perf_counter(), time.process_time()
    seen = [number(image) for _, image in make(path).frames()]
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return dict(
        fps=len(seen) / wall,
        cpu_ms=1e3 * cpu / len(seen),
        wrong=sum(i != s for i, s in enumerate(seen)),
        frames=len(seen),
    )


def one_by_one(reader, asked):
    """Single frames: median and 90th percentile of the time, mean CPU time (ms), wrong frames.

    A loaded machine tells CPU time better.
    """
    took, wrong, cpu = [], 0, time.process_time()
    for i in asked:
        start = time.perf_counter()
        image = reader[int(i)]
        took.append(1e3 * (time.perf_counter() - start))
        wrong += int(image is None or number(image) != i)
    cpu = 1e3 * (time.process_time() - cpu) / len(took)
    return dict(
        median_ms=float(np.median(took)),
        p90_ms=float(np.percentile(took, 90)),
        cpu_ms=cpu,
        wrong=wrong,
        asked=len(took),
    )


def compare(path, n, repeats):
    "Both readers in turn, so that the load of the machine falls on both; the best of the repeats"
    rng, rounds = np.random.default_rng(1), {name: [] for name in READERS}
    asked, last = rng.integers(0, n, 20), 3 * n // 4
    for _ in range(repeats):
        for name, make in READERS.items():
            reader = make(path)
            rounds[name].append(
                dict(
                    sequential=in_order(make, path),
                    random=one_by_one(reader, asked),
                    step_forward=one_by_one(reader, range(last - 15, last)),
                    step_back=one_by_one(reader, range(last, last - 8, -1)),
                )
            )
    out = {}
    for name, runs in rounds.items():
        out[name] = {}
        for job in runs[0]:
            best = dict(
                max((r[job] for r in runs), key=lambda f: f["fps"])
                if job == "sequential"
                else min((r[job] for r in runs), key=lambda f: f["median_ms"])
            )
            best["wrong"] = sum(r[job]["wrong"] for r in runs)  # of all repeats
            best["of"] = sum(r[job].get("asked", r[job].get("frames")) for r in runs)
            out[name][job] = {k: round(v, 2) for k, v in best.items() if k not in ("asked", "frames")}
    return out


def speed(folder, n=200, size=(960, 540), repeats=2):
    kept = np.sort(np.random.default_rng(2).choice(int(n * 1.4), n, replace=False))
    files = {
        "camera file (B-frames, long GOP)": camera_file(folder / "camera.mp4", n, size),
        "variable frame rate": camera_file(folder / "vfr.mp4", n, size, kept / FPS),
    }
    start = time.perf_counter()
    clip = Clip(files["camera file (B-frames, long GOP)"])
    files["proxy (GOP 15, no B-frames)"] = clip.proxy(folder / "proxy.mp4")
    figures = dict(size=size, frames=n, proxy_writing_fps=round(n / (time.perf_counter() - start), 1), files={})
    for label, path in files.items():
        figures["files"][label] = result = compare(path, n, repeats)
        print(f"\n{label}, {path.stat().st_size / 1e6:.1f} MB; wall time / CPU time, ms a frame; wrong frames")
        print(" " * 18 + "".join(f"{job:>26}" for job in ("in order", "random", "step forward", "step back")))
        for name, jobs in result.items():
            wall = [1e3 / j["fps"] if "fps" in j else j["median_ms"] for j in jobs.values()]
            print(
                f"{name:18}"
                + "".join(
                    f"{w:9.1f} /{j['cpu_ms']:6.1f}  {j['wrong']}/{j['of']:<4}" for w, j in zip(wall, jobs.values())
                )
            )
    return figures


def memory(folder, size=(480, 270)):
    figures = dict(size=size)
    for minutes in (1, 10):
        path = write_video(folder / f"{minutes}.mp4", number_frames(minutes * 60 * FPS, size), fps=FPS)
        done = subprocess.run(
            [sys.executable, __file__, "--one", str(path)], capture_output=True, text=True, check=True
        )
        figures[f"{minutes} min"] = json.loads(done.stdout)
    figures["growth_mb"] = round(figures["10 min"]["peak_mb"] - figures["1 min"]["peak_mb"], 1)
    print(json.dumps(figures, indent=1))
    return figures


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        seen = sum(1 for _ in Clip(args.one).frames())
        print(
            json.dumps(dict(frames=seen, peak_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)))
        )
        sys.exit()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        job, figures = ("memory", memory(Path(folder))) if args.memory else ("speed", speed(Path(folder)))
    if args.write:
        root = Path(__file__).resolve().parents[2]
        commit = subprocess.run(
            ["git", "describe", "--always", "--dirty"], cwd=root, capture_output=True, text=True
        ).stdout.strip()
        target = root / "results" / "video.json"
        old = json.loads(target.read_text()) if target.exists() else {}
        old[job] = dict(
            figures,
            command="python nbs/_bench/video.py" + " --memory" * args.memory + " --write",
            commit=commit,
            load_before=round(load, 1),
            cores=os.cpu_count(),
            python=platform.python_version(),
            versions={p: metadata.version(p) for p in ("av", "opencv-python", "numpy")},
        )
        target.parent.mkdir(exist_ok=True)
        target.write_text(json.dumps(old, indent=1) + "\n")
        print(f"\nwritten to {target.relative_to(root)}")
