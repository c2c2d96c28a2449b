"""Train the action head of HICNN-PSTA on clips, with the rest of the network as it is (pose first, then action).

    SPORTS_NB_DATA=... python nbs/_tools/train_actions.py --out build/actions \
        --weights sports_nb/weights/hicnn_psta_small

The athlete is followed through every clip exactly as `analyse` does it; what the action head reads is kept on disk,
and the head is trained on windows of it. Clips: the training parts of the basketball clips (official split 1,
validation by group), clips without basketball, and synthetic clips of 40 performers. The best head on the validation
clips (recall, mean over sources and their actions) is written back into the weights, its probabilities softened by
the temperature that suits the validation clips best.
"""

import argparse
import hashlib
import json
import os
import subprocess
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from sports_nb.analysis.analyser import CHUNK
from sports_nb.analysis.recognise import ACTION_FRAMES, ACTION_STEP
from sports_nb.analysis.track import Tracker
from sports_nb.core.actions import ACTION_CLASSES
from sports_nb.core.metrics import calibration_error
from sports_nb.data.clip_sets import read_clips, read_other_clips
from sports_nb.io.video import Clip
from sports_nb.models.registry import create_model
from sports_nb.synth.clips import ACTIONS, make_clip
from sports_nb.train.checkpoints import load_checkpoint, save_checkpoint

LONGEST, KEYS = 40, ("appearance", "keypoints", "confidence", "scene")


def features(model, frames, times):
    "What the action head reads in every frame where the athlete is found"
    tracker, kept = Tracker(model), []
    for i in range(0, len(frames), CHUNK):
        chunk, at = frames[i : i + CHUNK], times[i : i + CHUNK]
        out = tracker.step(chunk, at)
        ok = out["found"]
        if ok.any():
            kept.append({k: out["sure" if k == "confidence" else k][ok] for k in KEYS} | dict(time=np.asarray(at)[ok]))
            kept[-1]["position"] = out["position"][ok]  # for `train_pose_actions.py`
    kinds = dict(time=np.float64, position=np.float32)
    return {k: np.concatenate([o[k] for o in kept]).astype(kinds.get(k, np.float16)) for k in kept[0]} if kept else None


def collect(job):
    weights, kind, what, target = job
    if target.exists():
        return
    torch.set_num_threads(1)
    model = load_checkpoint(weights)
    if kind == "synthetic":
        clip = make_clip(**what)
        frames, times = list(clip.frames), clip.times
    else:
        clip = Clip(what)
        first = max(0, len(clip) - LONGEST) // 2
        frames, times = [f for _, f in clip.frames(first, first + LONGEST)], clip.times[first : first + LONGEST]
        if clip.fps > 20:
            frames, times = frames[::2], times[::2]  # the head reads frames 80 ms apart
    f = features(model, frames, times) or {}
    tmp = target.with_suffix(".tmp.npz")
    np.savez(tmp, **f)
    os.replace(tmp, target)


def window(clip, rng=None):
    """A window as `ActionWindows` cuts it.

    In the middle of the clip, or anywhere with a tempo of its own where rng is given.
    """
    t = clip["time"]
    step = ACTION_STEP * (rng.uniform(0.75, 1.3) if rng else 1)
    span = step * (ACTION_FRAMES - 1)
    lo, hi = min(t[0] + span, t[-1]), t[-1]
    end = rng.uniform(lo, hi) if rng else (lo + hi) / 2
    want = end - step * np.arange(ACTION_FRAMES - 1, -1, -1)
    near = abs(t - want[:, None]).argmin(1)
    real = abs(t[near] - want) <= ACTION_STEP
    n = int(real.sum())
    out = {k: np.zeros((ACTION_FRAMES, *clip[k].shape[1:]), np.float32) for k in KEYS}
    for k in KEYS:
        out[k][:n] = clip[k][near[real]]
    if rng:
        if rng.random() < 0.3:
            out["confidence"][:, rng.integers(13, size=3)] *= 0.1
        out["keypoints"] += rng.normal(0, 0.006, out["keypoints"].shape)
        if rng.random() < 0.2:
            out["scene"][:] = 0
    mask = np.zeros(ACTION_FRAMES, bool)
    mask[:n] = True
    clock = np.full(ACTION_FRAMES, t[near[real]][-1] - t[near[real]][0], np.float32)
    clock[:n] = t[near[real]] - t[near[real]][0]
    return out, mask, clock


def batch(windows):
    fs, masks, clocks = zip(*windows)
    return (
        {k: torch.from_numpy(np.stack([f[k] for f in fs])).float() for k in KEYS},
        torch.from_numpy(np.stack(masks)),
        torch.from_numpy(np.stack(clocks)),
    )


def evaluate(model, clips):
    model.eval()
    with torch.inference_mode():
        return np.concatenate(
            [
                model.recognise(*batch([window(c) for c in clips[i : i + 64]])).softmax(-1).numpy()
                for i in range(0, len(clips), 64)
            ]
        )


if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("--weights", required=True)
    ap.add_argument("--out", required=True)
    ap.add_argument("--synthetic", type=int, default=40, help="clips of each action")
    ap.add_argument("--steps", type=int, default=1500)
    ap.add_argument("--workers", type=int, default=2)
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--write", default="", help="checkpoint to write")
    a = ap.parse_args()
    digest = hashlib.sha256(Path(a.weights + ".safetensors").read_bytes()).hexdigest()[:12]
    out = Path(a.out) / digest
    out.mkdir(parents=True, exist_ok=True)
    jobs, rows = [], []
    for name, reader in (("", read_clips), ("other/", read_other_clips)):
        table = reader().table
        for r in table[
            table.part.isin(["train", "val"]) & (table.action >= 0)
        ].itertuples():  # test clips are read by `analyse` alone
            target = (
                out / f"{hashlib.sha256(f'{r.source}/{r.label}/{Path(r.path).name}'.encode()).hexdigest()[:20]}.npz"
            )
            rows.append((name + r.source, r.action, r.part, target))
            jobs.append((a.weights, r.source, r.path, target))
    for action in ACTIONS:
        for i in range(a.synthetic):
            performer = i % 40
            what = dict(
                action=action,
                performer=performer,
                seed=10_000 + i,
                n_frames=40,
                size=192,
                hard=bool(i % 3 == 0),
                reach=(0.45, 0.85),
            )
            rows.append(
                (
                    "synthetic",
                    ACTION_CLASSES.index(action),
                    "val" if performer % 5 == 4 else "train",
                    out / f"syn_{action}_{i}.npz",
                )
            )
            jobs.append((a.weights, "synthetic", what, rows[-1][-1]))
    with get_context("spawn").Pool(a.workers) as pool:
        for n, _ in enumerate(pool.imap_unordered(collect, jobs, chunksize=4), 1):
            if n % 100 == 0:
                print(f"{n}/{len(jobs)} clips", flush=True)
    clips, source, action, part = [], [], [], []
    for s, y, p, target in rows:
        with np.load(target) as f:
            c = {k: f[k] for k in f.files}
        if not c:
            if p == "train":
                continue
            c = {
                k: np.zeros((1, *shape), np.float32)
                for k, shape in dict(
                    appearance=(13, 64), keypoints=(13, 2), confidence=(13,), scene=(256,), time=(), position=(13, 2)
                ).items()
            }
        clips.append(c)
        source.append(s)
        action.append(y)
        part.append(p)
    source, action, part = map(np.array, (source, action, part))
    print("clips without an athlete found:", len(rows) - len(clips), "of the training part", flush=True)
    torch.manual_seed(a.seed)
    rng = np.random.default_rng(a.seed)
    model = load_checkpoint(a.weights)
    model.action.load_state_dict(
        create_model(model.name, **asdict(model.config)).action.state_dict()
    )  # a head that has learnt nothing
    opt = torch.optim.AdamW(model.action.parameters(), 1e-3, weight_decay=0.05)
    train = np.flatnonzero(part == "train")
    cells = {
        c: train[(source[train] == c[0]) & (action[train] == c[1])]
        for c in sorted(set(zip(source[train], action[train])))
    }
    # sources and actions count alike, but a cell of 17 clips is not shown as often as one of 90
    weight = np.array([len(v) ** 0.5 for v in cells.values()])
    names = list(cells)
    valid = np.flatnonzero(part == "val")
    best = (-1, None)
    for step in range(a.steps):
        for g in opt.param_groups:
            g["lr"] = 1e-3 * min(1, (step + 1) / 50) * (0.5 + 0.5 * np.cos(np.pi * step / a.steps))
        pick = [rng.choice(cells[names[c]]) for c in rng.choice(len(names), 48, p=weight / weight.sum())]
        x = batch([window(clips[i], rng) for i in pick])
        model.eval()
        model.action.train()
        loss = F.cross_entropy(model.recognise(*x), torch.from_numpy(action[pick]), label_smoothing=0.1)
        opt.zero_grad()
        loss.backward()
        opt.step()
        if (step + 1) % 100 == 0 or step + 1 == a.steps:
            p = evaluate(model, [clips[i] for i in valid]).argmax(1)
            per = {
                s: float((p[source[valid] == s] == action[valid][source[valid] == s]).mean())
                for s in sorted(set(source[valid]))
            }
            score = float(
                np.mean(
                    [
                        (p[(source[valid] == s) & (action[valid] == y)] == y).mean()
                        for s, y in cells
                        if ((source[valid] == s) & (action[valid] == y)).any()
                    ]
                )
            )
            print(
                json.dumps(
                    dict(
                        step=step + 1,
                        loss=round(loss.item(), 3),
                        score=round(score, 4),
                        **{k: round(v, 3) for k, v in per.items()},
                    )
                ),
                flush=True,
            )
            if score > best[0]:
                best = (score, {k: v.clone() for k, v in model.action.state_dict().items()})
    model.action.load_state_dict(best[1])
    with torch.no_grad():  # the temperature that makes the validation clips likeliest, kept in the last layer
        logits = torch.from_numpy(np.log(evaluate(model, [clips[i] for i in valid]) + 1e-9))
        grid = np.exp(np.linspace(np.log(0.3), np.log(4), 60))
        temperature = float(
            min(grid, key=lambda t: F.cross_entropy(logits / t, torch.from_numpy(action[valid])).item())
        )
        model.action.out.weight /= temperature
        model.action.out.bias /= temperature
    figures = dict(temperature=round(temperature, 3))
    for name in ("val",):
        which = np.flatnonzero(part == name)
        probability = evaluate(model, [clips[i] for i in which])
        p = probability.argmax(1)
        for s in sorted(set(source[which])):
            own = source[which] == s
            y = action[which][own]
            figures[f"{name}/{s}"] = dict(
                clips=int(own.sum()),
                accuracy=round(float((p[own] == y).mean()), 4),
                majority=round(float(np.bincount(y).max() / len(y)), 4),
            )
        y = action[which]
        figures[name] = dict(
            calibration_error=round(calibration_error(probability.max(1), p == y), 4),
            clips=len(y),
            accuracy=round(float((p == y).mean()), 4),
            majority=round(float(np.bincount(y).max() / len(y)), 4),
            recall={ACTION_CLASSES[c]: round(float((p[y == c] == c).mean()), 4) for c in sorted(set(y))},
        )
    print(json.dumps(figures, indent=1))
    if a.write:
        card = dict(model.card)
        card["data"] = [d for d in card["data"] if not d.startswith("for the action head")] + [
            "for the action head: HMDB51 dribble and shoot_ball, UCF101 Basketball and BasketballDunk, jennycs "
            "basketball player crops, nine classes of HMDB51 and UCF101 without basketball (their training parts; "
            "research use), synthetic clips"
        ]
        card["actions"] = dict(
            classes=list(ACTION_CLASSES),
            command="python nbs/_tools/train_actions.py "
            + " ".join(f"--{k} {v}" for k, v in vars(a).items() if k != "workers"),
            start_sha256=model.card["sha256"],
            commit=subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip(),
            figures=figures,
            note="pooled accuracy can be won by recognising the source; the rows by source tell more",
        )
        save_checkpoint(model, a.write, card)
