"""Where the time of `analyse` goes, on a quiet and on a busy machine and beside a rival, and whether its memory grows.

    python nbs/_bench/pipeline.py            frames/s, CPU ms a frame, peak memory; quiet and beside two busy loops
    python nbs/_bench/pipeline.py --memory   peak memory of clips of 1 and 10 minutes, each in a process of its own

The clip is the filmed shot of SPORTS_NB_DATA (101 frames of 960x540), or a synthetic one of 300 frames where there is
none. The rival is MoveNet Thunder, where SPORTS_NB_DATA holds its ONNX file: two threads, the same frames, decoded
and cropped (each crop from the joints before), one person. Every run is a process of its own; the time to load the
networks does not count. Add --write to put the figures in results/pipeline.json.
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
from importlib import metadata
from pathlib import Path

DATA = Path(os.environ.get("SPORTS_NB_DATA", "nowhere"))
SHOT, THUNDER = DATA / "interop/video/basketball_shot_chonyy_960x540_30fps.mp4", DATA / "models/movenet-thunder.onnx"
THREADS, QUIET, LOADED = 2, 5, 3  # threads of each system, runs on the machine as it is, runs beside the loops
LEFT_OUT = {
    "MediaPipe": "not measured: its package brings opencv-contrib-python, which takes the place of opencv-python"
}


def make_video(path, seconds, size, fps=30.0):
    "A synthetic shot forward and backward, again and again, so that the athlete never jumps"
    from sports_nb.io.video_writer import write_video
    from sports_nb.synth.clips import make_clip

    frames = make_clip("dribbling", performer=3, seed=5, n_frames=90, fps=fps, size=size, reach=(0.55, 0.65)).frames
    there_and_back = list(range(90)) + list(range(88, 0, -1))
    write_video(path, (frames[there_and_back[i % len(there_and_back)]] for i in range(int(seconds * fps))), fps=fps)


def cpu():
    "CPU seconds of this process so far, and of all processes together (None where the system does not tell)"
    own = resource.getrusage(resource.RUSAGE_SELF)
    try:
        u, n, s, _, _, i, q = map(int, Path("/proc/stat").read_text().split()[1:8])
    except OSError:
        return own.ru_utime + own.ru_stime, None
    return own.ru_utime + own.ru_stime, (u + n + s + i + q) / os.sysconf("SC_CLK_TCK")


def ours(path, mirror=False):
    "From the file to the predictions"
    import torch

    from sports_nb.analysis.analyser import analyse

    torch.set_num_threads(THREADS)

    def run():
        result = analyse(str(path), mirror=mirror, progress=False)
        return dict(result.timings, found=round(float((~result.box.isnull().any("corner")).mean()), 4))

    return run


def thunder(path):
    "From the file to the joints"
    import cv2
    import numpy as np
    import onnxruntime

    from sports_nb.data.crops import apply_affine, box_affine, square
    from sports_nb.io.video import Clip

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(str(THUNDER), options, providers=["CPUExecutionProvider"])
    name, size = session.get_inputs()[0].name, 256

    def run():
        clip, box, found = Clip(path), None, 0
        for _, frame in clip.frames():
            h, w = frame.shape[:2]
            affine = box_affine(square((0, 0, w, h)) if box is None else box, size)
            x = cv2.warpAffine(frame, affine, (size, size), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
            y, x, score = session.run(None, {name: x[None].astype(np.int32)})[0][0, 0].T
            position, there = apply_affine(affine, np.stack([x, y], 1) * size - 0.5), score.mean() >= 0.3
            sure = position[score >= min(0.3, np.sort(score)[-4])]
            box, found = square(np.r_[sure.min(0), sure.max(0)], 1.25) if there else None, found + there
        return dict(frames=len(clip), found=round(float(found / len(clip)), 4))

    return run


SYSTEMS = {"analyse": ours, "analyse, mirror": lambda path: ours(path, True), "MoveNet Thunder": thunder}


def one(system, path):
    "Run a system in this process and tell timings, CPU time and peak memory"
    run = SYSTEMS[system](path)
    before, start = cpu(), time.perf_counter()
    out = run()
    wall, after = time.perf_counter() - start - out.get("load", 0), cpu()
    others = (
        None
        if before[1] is None
        else round(max(0, after[1] - before[1] - after[0] + before[0]) / (time.perf_counter() - start), 2)
    )
    out |= dict(
        frames_per_second=round(out["frames"] / wall, 1),
        cpu_ms_a_frame=round(1000 * (after[0] - before[0]) / out["frames"], 1),
        others_cores=others,
        peak_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    )
    print(json.dumps(out))


def run(system, path):
    done = subprocess.run([sys.executable, __file__, "--one", system, str(path)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.strip().splitlines()[-1])


def measured(system, path, runs):
    "The middle one of some runs"
    all_runs = [run(system, path) for _ in range(runs)]
    return sorted(all_runs, key=lambda r: r["frames_per_second"])[runs // 2] | dict(
        runs=[r["frames_per_second"] for r in all_runs]
    )


def beside_busy_loops(f, *args):
    "The same with as many endless loops beside it as threads"
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(THREADS)]
    try:
        return f(*args)
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def speed(folder):
    path = SHOT if SHOT.exists() else folder / "clip.mp4"
    if path != SHOT:
        make_video(path, 10, (960, 540))
    figures = {}
    for system in SYSTEMS:
        if system == "MoveNet Thunder" and not THUNDER.exists():
            continue
        figures[system] = dict(
            quiet=measured(system, path, QUIET), loaded=beside_busy_loops(measured, system, path, LOADED)
        )
        print(
            system,
            {
                k: {n: v[n] for n in ("frames_per_second", "cpu_ms_a_frame", "peak_mb", "found", "others_cores")}
                for k, v in figures[system].items()
            },
            file=sys.stderr,
            flush=True,
        )
    first = figures["analyse"]["quiet"]
    for part in ("decode", "track_and_estimate", "recognise", "predict"):
        print(
            f"{part:20} {first[part]:7.2f} s {100 * first[part] / (first['total'] - first['load']):5.1f} %",
            file=sys.stderr,
        )
    return figures, path.stem if path == SHOT else "synthetic clip, dribbling, performer 3, seed 5, 960x540"


def memory(folder):
    figures = {}
    for minutes in (1, 10):
        make_video(folder / f"{minutes}.mp4", 60 * minutes, (320, 180))
        figures[f"{minutes} min"] = run("analyse", folder / f"{minutes}.mp4")
    figures["growth_mb"] = round(figures["10 min"]["peak_mb"] - figures["1 min"]["peak_mb"], 1)
    return figures, "synthetic clip, dribbling, performer 3, seed 5, 320x180"


if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("--one", nargs=2)
    ap.add_argument("--memory", action="store_true")
    ap.add_argument("--write", action="store_true")
    a = ap.parse_args()
    if a.one:
        one(*a.one)
        sys.exit()
    with tempfile.TemporaryDirectory() as folder:
        figures, data = (memory if a.memory else speed)(Path(folder))
    print(json.dumps(figures, indent=1))
    if a.write:
        target = Path(__file__).parents[2] / "results" / "pipeline.json"
        old = json.loads(target.read_text()) if target.exists() else {}
        head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
        new = dict(
            command="python nbs/_bench/pipeline.py" + " --memory" * a.memory,
            commit=head,
            data=data,
            threads=THREADS,
            cpu=platform.processor() or platform.machine(),
            cores=os.cpu_count(),
            versions={
                n: metadata.version(n)
                for n in (
                    "torch",
                    "av",
                    "numpy",
                    "opencv-python",
                    *(["onnxruntime"] if "MoveNet Thunder" in figures else []),
                )
            },
            **(
                {}
                if a.memory
                else dict(
                    loaded=f"beside {THREADS} endless loops",
                    others_cores="CPU time that other programs took meanwhile, the loops included, in cores",
                    left_out=LEFT_OUT,
                )
            ),
            figures=figures,
        )
        tmp = target.with_suffix(".tmp")
        tmp.write_text(json.dumps(old | {"memory" if a.memory else "speed": new}, indent=1) + "\n")
        os.replace(tmp, target)
