"""Trains the AGC-LSTM that names actions from body13 joints alone, on the tracks that `train_actions.py` collected
(the estimated joints of real and synthetic training clips) and on the exact joints of synthetic ones.

    python nbs/_tools/train_pose_actions.py --tracks build/actions/HASH --write build/agc_lstm_body13

The checkpoint is the one with the best mean recall over sources and actions on validation clips; its temperature is
fitted there. Prints what each source gets.
"""

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from sports_nb.analysis.predict import SURE
from sports_nb.analysis.recognise import ACTION_FRAMES, ACTION_STEP
from sports_nb.core.actions import ACTION_CLASSES
from sports_nb.core.metrics import calibration_error
from sports_nb.core.skeleton import get_skeleton
from sports_nb.data.clip_sets import read_clips, read_other_clips
from sports_nb.models.registry import create_model
from sports_nb.synth.clips import ACTIONS, make_clip
from sports_nb.train.checkpoints import save_checkpoint

FLIP = get_skeleton("body13").flip


def tracks(folder, exact):
    "(source, action, part, position (t, 13, 2), confidence (t, 13), time (t,)) of each clip"
    found = []
    for name, reader in (("", read_clips), ("other/", read_other_clips)):
        table = reader().table
        for r in table[table.part.isin(["train", "val"]) & (table.action >= 0)].itertuples():
            digest = hashlib.sha256(f"{r.source}/{r.label}/{Path(r.path).name}".encode()).hexdigest()[:20]
            found.append((name + r.source, int(r.action), r.part, folder / f"{digest}.npz"))
    for path in folder.glob("syn_*.npz"):
        _, action, i = path.stem.split("_")
        part = "val" if int(i) % 40 % 5 == 4 else "train"
        found.append(("synthetic", ACTION_CLASSES.index(action), part, path))
    for source, action, part, path in found:
        with np.load(path) as f:
            if "position" in f.files:
                yield source, action, part, f["position"], f["confidence"].astype(np.float32), f["time"]
    for action in ACTIONS:
        for i in range(exact):
            clip = make_clip(action, performer=i % 40, seed=20_000 + i, n_frames=40, size=64)
            part = "val" if i % 40 % 5 == 4 else "train"
            sure = np.where(clip.visible, 0.9, 0.3).astype(np.float32)
            yield "exact", ACTION_CLASSES.index(action), part, clip.position.astype(np.float32), sure, clip.times


def window(track, rng=None):
    "A window as `ActionWindows` cuts it: in the middle of the clip; with rng anywhere, mirrored, faster or slower"
    *_, position, sure, t = track
    step = ACTION_STEP * (rng.uniform(0.75, 1.3) if rng else 1)
    lo, hi = min(t[0] + step * (ACTION_FRAMES - 1), t[-1]), t[-1]
    end = rng.uniform(lo, hi) if rng else (lo + hi) / 2
    want = end - step * np.arange(ACTION_FRAMES - 1, -1, -1)
    near = abs(t - want[:, None]).argmin(1)
    near = near[abs(t[near] - want) <= ACTION_STEP]
    p, c = np.zeros((ACTION_FRAMES, 13, 2), np.float32), np.zeros((ACTION_FRAMES, 13), np.float32)
    p[: len(near)], c[: len(near)] = position[near], sure[near]
    if rng:
        long = np.ptp(position[near].reshape(-1, 2), 0).max()
        if rng.random() < 0.5:
            p, c = p[:, FLIP] * [-1, 1], c[:, FLIP]
        a = rng.normal(0, 0.15)
        p = p @ np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]]) * [np.exp(rng.normal(0, 0.1)), 1]
        p = p + rng.normal(0, 0.01 * long, p.shape)
        if rng.random() < 0.4:
            c = c * (rng.random(13) > 0.15)
    mask = np.arange(ACTION_FRAMES) < len(near)
    visible = c >= SURE
    visible[:, 0] |= ~visible.any(1)
    return p.astype(np.float32), visible, mask


def batch(windows):
    p, v, m = (torch.from_numpy(np.stack(x)) for x in zip(*windows))
    return dict(position=p, visible=v, frame_mask=m)


@torch.inference_mode()
def evaluate(model, rows):
    model.eval()
    out = [model(**batch([window(r) for r in rows[i : i + 64]]))["action_logits"] for i in range(0, len(rows), 64)]
    return torch.cat(out).numpy()


if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("--tracks", required=True)
    ap.add_argument("--write", required=True)
    ap.add_argument("--exact", type=int, default=40, help="synthetic clips of each action with their exact joints")
    ap.add_argument("--steps", type=int, default=700)
    ap.add_argument("--batch", type=int, default=48)
    ap.add_argument("--hidden", type=int, default=64)
    ap.add_argument("--seed", type=int, default=0)
    a = ap.parse_args()
    rows = list(tracks(Path(a.tracks), a.exact))
    train, valid = ([r for r in rows if r[2] == part] for part in ("train", "val"))
    print(len(train), "clips to train on,", len(valid), "to validate", flush=True)
    torch.manual_seed(a.seed)
    rng = np.random.default_rng(a.seed)
    cells = {}
    for r in train:
        cells.setdefault(r[:2], []).append(r)
    names, weight = list(cells), np.array([len(v) ** 0.5 for v in cells.values()])
    model = create_model("agc_lstm_small", n_actions=len(ACTION_CLASSES), hidden=a.hidden)
    opt = torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=0.05)
    best = (-1, None)
    for step in range(a.steps):
        for g in opt.param_groups:
            g["lr"] = 2e-3 * min(1, (step + 1) / 50) * (0.5 + 0.5 * np.cos(np.pi * step / a.steps))
        pick = [names[c] for c in rng.choice(len(names), a.batch, p=weight / weight.sum())]
        shown = [cells[c][rng.integers(len(cells[c]))] for c in pick]
        model.train()
        out = model(**batch([window(r, rng) for r in shown]))
        loss = model.loss(out, torch.tensor([r[1] for r in shown]), smoothing=0.1)
        opt.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        if (step + 1) % 100 == 0 or step + 1 == a.steps:
            p, y, s = evaluate(model, valid).argmax(1), np.array([r[1] for r in valid]), np.array([r[0] for r in valid])
            recall = {
                f"{c[0]}/{ACTION_CLASSES[c[1]]}": float((p[(s == c[0]) & (y == c[1])] == c[1]).mean())
                for c in cells
                if ((s == c[0]) & (y == c[1])).any()
            }
            score = float(np.mean(list(recall.values())))
            each = {k: round(float((p[s == k] == y[s == k]).mean()), 3) for k in sorted(set(s))}
            print(
                json.dumps(dict(step=step + 1, loss=round(loss.item(), 3), score=round(score, 4), **each)), flush=True
            )
            if score > best[0]:
                best = (score, {k: v.clone() for k, v in model.state_dict().items()}, step + 1, each)
    model.load_state_dict(best[1])
    logits, y = torch.from_numpy(evaluate(model, valid)), torch.tensor([r[1] for r in valid])
    probability = logits.exp().numpy()
    figures = dict(
        step=best[2],
        validation=best[3],
        clips=len(valid),
        calibration_error=round(calibration_error(probability.max(1), probability.argmax(1) == y.numpy()), 3),
        log_loss=round(float(F.nll_loss(logits, y)), 3),
    )
    print(json.dumps(figures), flush=True)
    card = dict(
        task="action from body13 joints (AGC-LSTM)",
        classes=list(ACTION_CLASSES),
        data=[
            "tracks estimated by hicnn_psta_small in training clips: HMDB51, UCF101, jennycs, and without basketball",
            "synthetic clips of sports_nb.synth.clips, estimated and exact joints",
        ],
        licence="weights for research use, as the clips they were trained on",
        seed=a.seed,
        figures=figures,
    )
    save_checkpoint(model, a.write, card)
