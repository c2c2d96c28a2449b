"""Where the time of `analyse` goes, and whether its memory grows with the clip.

    python nbs/_bench/pipeline.py            frames/s on a 960x540 clip of 300 frames, the box found by itself
    python nbs/_bench/pipeline.py --memory   peak memory of a 1-minute and a 10-minute clip, each in a process of its own

Add --write to put the figures in results/pipeline.json.
"""
import argparse, json, os, platform, resource, subprocess, sys, tempfile
from importlib import metadata
from pathlib import Path


def make_video(path, seconds, size, fps=30.):
    "A synthetic shot forward and backward, again and again, so that the athlete never jumps"
    from sports_nb.data.synthetic import make_clip
    from sports_nb.data.video import write_video
    frames = make_clip("dribbling", performer=3, seed=5, n_frames=90, fps=fps, size=size, reach=(.55, .65)).frames
    there_and_back = list(range(90)) + list(range(88, 0, -1))
    write_video(path, (frames[there_and_back[i % len(there_and_back)]] for i in range(int(seconds*fps))), fps=fps)


def one(path):
    "Analyse in this process and tell timings and peak memory"
    import torch
    torch.set_num_threads(2)
    from sports_nb.analysis.pipeline import analyse
    result = analyse(str(path), progress=False)
    found = float((~result.box.isnull().any("corner")).mean())
    print(json.dumps(dict(result.timings, found=round(found, 4), peak_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/1024, 1))))


def run(path):
    done = subprocess.run([sys.executable, __file__, "--one", str(path)], capture_output=True, text=True)
    if done.returncode: sys.exit(done.stderr)
    return json.loads(done.stdout.strip().splitlines()[-1])


if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("--one"); ap.add_argument("--memory", action="store_true"); ap.add_argument("--write", action="store_true")
    a = ap.parse_args()
    if a.one: one(a.one); sys.exit()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        if a.memory:
            figures = {}
            for minutes in (1, 10):
                make_video(folder/f"{minutes}.mp4", 60*minutes, (320, 180))
                figures[f"{minutes} min"] = run(folder/f"{minutes}.mp4")
            figures["growth_mb"] = round(figures["10 min"]["peak_mb"] - figures["1 min"]["peak_mb"], 1)
        else:
            make_video(folder/"clip.mp4", 10, (960, 540))
            runs = [run(folder/"clip.mp4") for _ in range(3)]
            figures = sorted(runs, key=lambda r: r["frames_per_second"])[1] | dict(runs=[r["frames_per_second"] for r in runs])
            total = figures["total"] - figures["load"]
            for part in ("decode", "track_and_estimate", "recognise", "predict"): print(f"{part:20} {figures[part]:7.2f} s {100*figures[part]/total:5.1f} %")
    print(json.dumps(figures, indent=1))
    if a.write:
        target = Path(__file__).parents[2]/"results"/"pipeline.json"
        old = json.loads(target.read_text()) if target.exists() else {}
        head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
        new = dict(command="python nbs/_bench/pipeline.py" + " --memory"*a.memory, commit=head, data="synthetic clip, dribbling, performer 3, seed 5", load=os.getloadavg()[0],
                   cpu=platform.processor() or platform.machine(), cores=os.cpu_count(), versions={n: metadata.version(n) for n in ("torch", "av", "numpy", "opencv-python")}, figures=figures)
        tmp = target.with_suffix(".tmp")
        tmp.write_text(json.dumps(old | {"memory" if a.memory else "speed": new}, indent=1) + "\n"); os.replace(tmp, target)
