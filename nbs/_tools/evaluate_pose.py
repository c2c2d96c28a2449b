"""What the shipped HICNN-PSTA scores on LSPET 8001-9000, which it never saw: PCK by torso and by box, and person against background.

    SPORTS_NB_DATA=... python nbs/_tools/evaluate_pose.py [--weights PATH] [--write]
"""
import argparse, json, os, subprocess
from importlib import metadata
from pathlib import Path

import cv2
import numpy as np
import torch

from sports_nb.analysis.tracking import estimate
from sports_nb.core.metrics import auc, pck
from sports_nb.data.datasets import read_lspet
from sports_nb.train.checkpoints import load_checkpoint, load_pretrained
from train_hicnn_psta import free_square

if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("--weights"); ap.add_argument("--size", type=int, default=96); ap.add_argument("--write", action="store_true")
    a = ap.parse_args()
    model = load_checkpoint(a.weights) if a.weights else load_pretrained("hicnn_psta_small")
    data = read_lspet()
    train, valid = data.splits["train"], data.splits["val"]
    load = lambda i: data[int(i)]
    samples = [load(i) for i in valid]
    ref, vis = np.stack([s["keypoints"][0] for s in samples])*128 - .5, np.stack([s["visible"][0] for s in samples])
    frames = [np.ascontiguousarray(np.moveaxis(s["frames"][0], 0, -1)) for s in samples]
    look = lambda xs: torch.from_numpy(np.stack([cv2.resize(x, (a.size, a.size), interpolation=cv2.INTER_AREA) for x in xs])).permute(0, 3, 1, 2)[:, None].float()/255
    with torch.inference_mode():
        outs = [model.estimate(look(frames[i:i+50])) for i in range(0, len(frames), 50)]
        pred = torch.cat([o["keypoints"][:, 0] for o in outs]).numpy()*128 - .5
        person = torch.cat([o["confidence"][:, 0].mean(-1) for o in outs]).numpy()
        corners = [(f, free_square(r, v)) for f, r, v in zip(frames, ref, vis)]
        walls = [np.ascontiguousarray(f[s[1]:s[1]+s[2], s[0]:s[0]+s[2]]) for f, s in corners if s is not None]
        wall = torch.cat([model.estimate(look(walls[i:i+50]))["confidence"][:, 0].mean(-1) for i in range(0, len(walls), 50)]).numpy()
    # as `analyse` looks: crops through its own affine map, and the mirror image too
    both = np.concatenate([estimate(model, frames[i:i+50], [(0, 0, 128, 128)]*len(frames[i:i+50]), a.size, clip=False, mirror=True)["position"] for i in range(0, len(frames), 50)])
    known = [load(i) for i in train]
    kp, kv = np.stack([s["keypoints"][0] for s in known]), np.stack([s["visible"][0] for s in known])
    mean = np.stack([kp[:, k][kv[:, k]].mean(0) for k in range(13)])*128 - .5
    table = {}
    for name, p in {"HICNN-PSTA small": pred, "HICNN-PSTA small, mirror image too": both, "mean pose": np.broadcast_to(mean, ref.shape)}.items():
        table[name] = {f"PCK@{t} {n}": round(float(pck(p, ref, vis, threshold=t, normaliser=n)), 2) for n in ("torso", "box") for t in (.2, .1, .05)}
    labels = np.r_[np.ones(len(person)), np.zeros(len(wall))]
    figures = dict(images=len(ref), joints=int(vis.sum()), pck=table,
                   person_or_background=dict(auc=round(float(auc(np.r_[person, wall], labels.astype(bool))), 4), people=len(person), backgrounds=len(wall)))
    print(json.dumps(figures, indent=1))
    if a.write:
        head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
        out = dict(command=f"python nbs/_tools/evaluate_pose.py --size {a.size}", commit=head, data="LSPET images 8001-9000 as 128 px crops, 13 joints (body13)", weights=model.card["sha256"],
                   versions={n: metadata.version(n) for n in ("torch", "numpy", "opencv-python")}, figures=figures)
        target = Path(__file__).parents[2]/"results"/"pose_lspet.json"
        tmp = target.with_suffix(".tmp"); tmp.write_text(json.dumps(out, indent=1) + "\n"); os.replace(tmp, target)
