"""How fast synthetic clips and pose pictures are drawn.

python nbs/_bench/synthetic.py [--out results/synthetic.json]
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from sports_nb.synth.clips import ACTIONS, make_clip, random_background, random_pose_image

ROUNDS = 3


def clip_frames(job):
    "Frames drawn of one clip, making it included"
    action, performer, size = job
    clip = make_clip(action, performer=performer, seed=performer, size=size)
    for i in range(len(clip)):
        clip.draw(i)
    return len(clip)


def picture(job):
    "Pose pictures drawn"
    seed, n = job
    rng = np.random.default_rng(seed)
    for _ in range(n):
        random_pose_image(rng)
    return n


def rate(make, jobs, pool=None):
    "Best of a few rounds: things a second by the clock, and by processor time where one process works"
    wall, cpu = [], []
    for _ in range(ROUNDS):
        a, b = time.perf_counter(), time.process_time()
        n = sum(pool.map(make, jobs) if pool else map(make, jobs))
        wall.append(n / (time.perf_counter() - a))
        cpu.append(n / (time.process_time() - b))
    return dict(per_second=round(max(wall), 1), **({} if pool else dict(per_processor_second=round(max(cpu), 1))))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the figures in results/synthetic.json")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    load = os.getloadavg()
    result = dict(load_before=[round(x, 1) for x in load])
    clip_frames(("shooting", 0, 256))
    picture((0, 600))  # sew the wardrobe first
    result["one_process"] = {a: rate(clip_frames, [(a, p, 256) for p in range(2)]) for a in ACTIONS}
    result["one_process"]["all_540p"] = rate(clip_frames, [("shooting", 0, (960, 540))])
    result["pose_pictures_128"] = rate(picture, [(1, 200)])
    rng = np.random.default_rng(0)
    result["backgrounds_128"] = rate(
        lambda n: sum(1 for _ in range(n) if random_background(rng, 128) is not None), [300]
    )
    with ProcessPoolExecutor(2, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        result["two_processes_256"] = rate(clip_frames, [(a, p, 256) for p in range(4) for a in ACTIONS], pool)
    git = lambda *a: subprocess.run(["git", *a], capture_output=True, text=True).stdout.strip()
    result.update(
        unit="frames or pictures a second, 256 px clips of 60 frames unless named, best of 3",
        load_after=[round(x, 1) for x in os.getloadavg()],
        command=" ".join(["python", *sys.argv]),
        commit=git("rev-parse", "HEAD"),
        python=platform.python_version(),
        numpy=np.__version__,
        opencv=cv2.__version__,
        cores=os.cpu_count(),
    )
    print(json.dumps(result, indent=1))
    if args.write:
        target = Path(__file__).parents[2] / "results" / "synthetic.json"
        part = target.with_suffix(".tmp")
        part.write_text(json.dumps(result, indent=1) + "\n")
        os.replace(part, target)


if __name__ == "__main__":
    main()
