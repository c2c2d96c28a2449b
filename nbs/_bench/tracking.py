"""Does the tracker find and keep the athlete?

On synthetic clips, with the athlete at 25-90 % of the frame's height, anywhere in it.

    python nbs/_bench/tracking.py [--clips 60] [--write]

Reported: share of frames with the athlete in which the box has an IoU of 0.5 or more (lost counts as a miss), and
share of frames without an athlete in which there is a box.
"""

import argparse
import json
import os
import subprocess
from importlib import metadata
from pathlib import Path

import numpy as np
import torch

from sports_nb.analysis.analyser import CHUNK
from sports_nb.analysis.track import Tracker
from sports_nb.core.metrics import pck
from sports_nb.synth.clips import ACTIONS, make_clip
from sports_nb.train.checkpoints import load_checkpoint, load_pretrained


def iou(a, b):
    inner = np.clip(np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]), 0, None).prod(1)
    return np.nan_to_num(inner / ((a[:, 2:] - a[:, :2]).prod(1) + (b[:, 2:] - b[:, :2]).prod(1) - inner))


def follow(model, clip):
    tracker, box, position = Tracker(model), np.full((len(clip), 4), np.nan), np.full((len(clip), 13, 2), np.nan)
    for i in range(0, len(clip), CHUNK):
        now = slice(i, i + CHUNK)
        out = tracker.step(list(clip.frames[now]), clip.times[now])
        if out["found"].any():
            box[now], position[now] = out["box"], out["position"]
    return box, position


if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("--clips", type=int, default=60)
    ap.add_argument("--weights")
    ap.add_argument("--write", action="store_true")
    ap.add_argument("--threads", type=int, default=2)
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    model = load_checkpoint(a.weights) if a.weights else load_pretrained("hicnn_psta_small")
    good, seen_frames, boxes_without, absent_frames, hits, joints, rows = 0, 0, 0, 0, 0.0, 0, []
    for i in range(a.clips):
        low = [0.25, 0.4, 0.55, 0.7][i % 4]
        clip = make_clip(
            ACTIONS[(i // 4) % 4],
            performer=4000 + i,
            seed=111_000 + i,
            n_frames=48,
            size=(480, 270),
            reach=(low, min(low + 0.2, 0.9)),
            absent=(28, 48) if i % 2 == 0 else None,
        )
        box, position = follow(model, clip)
        seen = np.isfinite(clip.box[:, 0])
        ok = iou(box, clip.box) >= 0.5
        good += int(ok[seen].sum())
        seen_frames += int(seen.sum())
        # a frame into which nothing of the athlete reaches
        boxes_without += int(np.isfinite(box[~seen, 0]).sum())
        absent_frames += int((~seen).sum())
        v = clip.visible & seen[:, None]
        if v.any():
            hits += pck(position, clip.position, v, threshold=0.2, normaliser="torso") * v.sum()
            joints += int(v.sum())
        rows.append(round(float(ok[seen].mean()), 2))
    figures = dict(
        clips=a.clips,
        frames_with=seen_frames,
        iou_50=round(good / seen_frames, 4),
        frames_without=absent_frames,
        boxes_without=round(boxes_without / max(absent_frames, 1), 4),
        pck_02_torso=round(hits / max(joints, 1), 2),
        by_height={f"{l:.2f}": round(float(np.mean(rows[k::4])), 3) for k, l in enumerate((0.25, 0.4, 0.55, 0.7))},
    )
    print(json.dumps(figures, indent=1))
    if a.write:
        head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
        out = dict(
            command=f"python nbs/_bench/tracking.py --clips {a.clips}",
            commit=head,
            data=(
                "synthetic clips; performers and seeds used neither in training nor in choosing the tracker's "
                "thresholds"
            ),
            weights=model.card["sha256"],
            versions={n: metadata.version(n) for n in ("torch", "numpy", "opencv-python")},
            figures=figures,
        )
        target = Path(__file__).parents[2] / "results" / "tracking.json"
        tmp = target.with_suffix(".tmp")
        tmp.write_text(json.dumps(out, indent=1) + "\n")
        os.replace(tmp, target)
