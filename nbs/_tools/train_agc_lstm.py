"""AGC-LSTM on the skeletons of Penn Action: 15 actions, the official split, validation on every fifth training video.

    SPORTS_NB_DATA=... python nbs/_tools/train_agc_lstm.py --out build/agc_lstm --seeds 0 1 2

Trains both streams at once (they share no weight), chooses the checkpoint on validation videos, and scores the test
videos once, each with its mirror image. Can be stopped and run again. Writes results/agc_lstm_penn.json.
"""

import argparse
import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from sports_nb.core.metrics import classification_table
from sports_nb.data.augment_poses import RECOGNISER_VIEW, augment_poses
from sports_nb.data.recordings import read_penn
from sports_nb.data.windows import PoseClips
from sports_nb.io.files import write_atomic
from sports_nb.models.registry import create_model
from sports_nb.train.checkpoints import load_checkpoint
from sports_nb.train.fit import fit
from sports_nb.train.plan import PRESETS
from sports_nb.train.recipes import provenance
from sports_nb.train.tasks import task_for


@torch.inference_mode()
def answers(model, task, clips):
    "Probability of each action of every clip, for each stream and for both, mean of the clip and its mirror image"
    out = {}
    for view in (0.0, 1.0):
        samples = [
            augment_poses(
                clips[i],
                np.random.default_rng(0),
                skeleton="penn13",
                p_mirror=view,
                p_reverse=0,
                yaw=0,
                stretch=0,
            )
            for i in range(len(clips))
        ]
        for j in range(0, len(samples), 64):
            said = model(
                **{
                    k: torch.from_numpy(np.ascontiguousarray(v))
                    for k, v in task.batch(samples[j : j + 64]).items()
                    if k != "action"
                }
            )
            for name, p in {k: model.answer(s) for k, s in said["streams"].items()}.items():
                out.setdefault(name, [[], []])[int(view)].append(p.numpy())
    out = {name: np.mean([np.concatenate(v) for v in views], 0) for name, views in out.items()}
    return out | {"both": np.mean(list(out.values()), 0)}


if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("--out", required=True)
    ap.add_argument("--seeds", type=int, nargs="+", default=[0])
    ap.add_argument("--model", default="agc_lstm_small")
    ap.add_argument("--epochs", type=float, default=60)
    ap.add_argument("--frames", type=int, default=40)
    ap.add_argument("--lr", type=float, default=2e-3)
    ap.add_argument("--batch", type=int, default=32)
    ap.add_argument("--smoothing", type=float, default=0.1)
    ap.add_argument("--hidden", type=int, default=96)
    ap.add_argument("--threads", type=int, default=1)
    ap.add_argument("--results", default="results")
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    penn = read_penn()
    classes = sorted(set(penn.data["action"].tolist()))
    action = [classes.index(v) for v in penn.data["action"]]
    parts = {part: PoseClips(penn, action, which, frames=a.frames) for part, which in penn.splits.items()}
    view = partial(augment_poses, skeleton="penn13", **RECOGNISER_VIEW)
    rows = []
    for seed in a.seeds:
        out = Path(a.out) / f"seed{seed}"
        torch.manual_seed(seed)
        model = create_model(a.model, skeleton="penn13", n_actions=len(classes), hidden=a.hidden)
        task = task_for(model, classes=tuple(classes), smoothing=a.smoothing)
        curves = fit(
            model,
            task,
            parts["train"],
            parts["val"],
            preset=replace(PRESETS["modern"], clip=1.0, average=0.99),
            epochs=a.epochs,
            lr=a.lr,
            batch=a.batch,
            augment=view,
            seed=seed,
            out=out,
            resume=True,
            workers=0,
        )
        best = load_checkpoint(out / "best")
        figures = {}
        for part in ("val", "test"):
            said, y = answers(best, task, parts[part]), np.array([parts[part].action[i] for i in parts[part].which])
            assert len(said["both"]) == len(y) == len(penn.splits[part])  # no video is left out
            for name, p in said.items():
                figures[f"{part} {name}"] = classification_table(y, p.argmax(1), classes)
        rows.append(
            dict(
                seed=seed,
                step=best.card["step"],
                seconds=round(float(curves["seconds"].iloc[-1])),
                **{k: round(100 * t["accuracy"], 2) for k, t in figures.items()},
                recall={c: round(100 * r, 1) for c, r in zip(classes, figures["test both"]["recall"])},
                confusion=figures["test both"]["confusion"],
            )
        )
        print({k: v for k, v in rows[-1].items() if k not in ("recall", "confusion")}, flush=True)
        test = [r["test both"] for r in rows]
        result = dict(
            table="AGC-LSTM on Penn Action skeletons",
            protocol="official split, 1,258 training videos (every fifth for validation) and 1,068 test videos; "
            "annotated joints, those not visible masked; "
            f"{a.frames} poses spread over the whole video; clip and mirror image averaged; checkpoint chosen on "
            "validation videos",
            metric="accuracy, %",
            majority=round(100 * figures["test both"]["majority"], 2),
            test_videos=figures["test both"]["n"],
            mean=round(float(np.mean(test)), 2),
            spread=round(float(np.std(test, ddof=1)), 2) if len(test) > 1 else None,
            parameters=sum(p.numel() for p in best.parameters()),
            classes=classes,
            seeds=rows,
            settings={k: v for k, v in vars(a).items() if k not in ("out", "results", "threads")},
            **provenance(),
        )
        write_atomic(Path(a.results) / "agc_lstm_penn.json", (json.dumps(result, indent=1) + "\n").encode())
