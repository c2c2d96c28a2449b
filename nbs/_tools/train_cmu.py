"""Train MS-GCN's direct form on CMU motion capture, and score it on the test files beside the published networks.

    SPORTS_NB_DATA=... python nbs/_tools/train_cmu.py --out FOLDER [--seed 0] [--epochs 24] [--resume]
    SPORTS_NB_DATA=... python nbs/_tools/train_cmu.py --test FOLDER [FOLDER ...] [--json results/cmu.json]

Each FOLDER lies outside the repository and holds the curves and checkpoints of one seed. The best checkpoint is chosen on the last fifth
of each training file, which is never trained on. The test files are read by `--test` alone.
"""
import argparse, json, sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from sports_nb.core.skeleton import convert, get_skeleton
from sports_nb.data.pose_views import PoseViews, vary
from sports_nb.data.recordings import read_cmu
from sports_nb.experiments.prediction import CMU_ACTIONS, CMU_LEADS, CMU_PUBLISHED, cmu_windows, naive, score_cmu
from sports_nb.models.registry import create_model
from sports_nb.train.checkpoints import load_checkpoint, write_atomic
from sports_nb.train.fit import PRESETS, fit
from sports_nb.train.losses import masked_mean
from sports_nb.train.recipes import provenance
from sports_nb.train.tasks import Forecast

BODY = dict(skeleton="cmu25", dims=3, horizon=25)


@dataclass
class Distance(Forecast):
    "Forecast with the mean joint distance as its loss, each lead weighed by `lead ** far`"
    far: float = 0.

    def loss(self, model, batch):
        said, truth, seen = self._forward(model, batch), batch["position"][:, self.history:], batch["visible"][:, self.history:]
        weight = torch.arange(1., self.horizon + 1)**self.far
        distance = (said - truth).square().sum(-1).add(1e-10).sqrt()*(weight/weight.mean())[:, None]
        loss = masked_mean(distance, seen)
        return loss, dict(forecast=loss)


class Mirrored(nn.Module):
    "The mean of a forecast and of that of the mirrored history"
    def __init__(self, model):
        super().__init__()
        self.model, self.config = model, model.config
        self.flip, self.sides = torch.from_numpy(get_skeleton(model.config.skeleton).flip), torch.tensor([-1.] + [1.]*(model.config.dims - 1))

    def forward(self, history, visible=None, horizon=None):
        other = self.model(history[:, :, self.flip]*self.sides, visible=None if visible is None else visible[:, :, self.flip], horizon=horizon)
        return (self.model(history, visible=visible, horizon=horizon) + (other*self.sides)[:, :, self.flip])/2


def views(reader, part, actions=None, **kw):
    "The 25 joints of the files of a part as `PoseViews`, frame by frame as the benchmark has them"
    motions = [reader[i] for i in reader.splits[part]]
    motions = [m | dict(position=(p := convert(m["position"], "cmu", "cmu25"))[0], visible=p[1]) for m in motions if actions is None or (m["label"] in CMU_ACTIONS) == actions]
    return PoseViews(motions, 10, 25, fps=None, **kw)


def train(o):
    reader = read_cmu()
    # the five actions that are scored have few frames beside the two that are not: half of each step is theirs
    data = dict(scored=views(reader, "train", True, past=20, speed=.2, seed=o.seed), others=views(reader, "train", False, past=20, speed=.2, seed=o.seed))
    torch.manual_seed(o.seed)
    model = create_model(o.model, **BODY, up=1, dropout=o.dropout)
    fit(model, Distance(horizon=25, skeleton="cmu25", far=o.far), data, views(reader, "val", True), preset=PRESETS["modern"], epochs=o.epochs, lr=o.lr, batch=64,
        augment=partial(vary, skeleton="cmu25", up=1, stretch=.05), seed=o.seed, out=o.out, resume=o.resume, card=provenance() | dict(data="CMU motion capture, training files less the last fifth of each"), progress=sys.stderr.isatty())


def test(o):
    reader = read_cmu()
    windows = cmu_windows(reader)
    models = [load_checkpoint(Path(folder)/"best") for folder in o.test]
    both = lambda model: {kind: score_cmu(model, windows, as_published=kind == "as published") for kind in ("25 joints", "as published")}
    rows = {name: both(m) for name, m in naive(**BODY).items()} | {f"seed {m.card['seed']}": both(Mirrored(m)) for m in models}
    mean = {kind: np.mean([rows[f"seed {m.card['seed']}"][kind]["mean"] for m in models], 0).tolist() for kind in ("25 joints", "as published")}
    result = dict(task="CMU mocap, 10 poses in, 25 out, all windows of the test files, mean joint distance, nominal mm; the mean over the five actions whose files are complete",
        kinds={"25 joints": "mean over the 25 joints that are forecast", "as published": "mean over 38 joints as the public code of MSR-GCN and Traj-GCN takes it"}, leads_ms=list(CMU_LEADS), rows=rows, mean=mean,
        published={n: {**r, "mean": np.mean(list(r.values()), 0).tolist()} for n, r in CMU_PUBLISHED.items()}, note="the published networks were trained on three actions more, on all frames of the training files, and chosen on the test files",
        training=[{k: m.card[k] for k in ("model", "config", "step", "seed", "command", "commit", "date", "validation")} for m in models], **provenance())
    print(pd.DataFrame({f"{n}, {k}": v["mean"] for n, r in rows.items() for k, v in r.items()} | {f"mean, {k}": v for k, v in mean.items()} | {n: r["mean"] for n, r in result["published"].items()}, index=list(CMU_LEADS)).T.round(2).to_string())
    if o.json: write_atomic(o.json, (json.dumps(result, indent=1) + "\n").encode())


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--out"); a.add_argument("--model", default="ms_gcn_small"); a.add_argument("--seed", type=int, default=0); a.add_argument("--epochs", type=float, default=24)
    a.add_argument("--lr", type=float, default=1e-3); a.add_argument("--dropout", type=float, default=.2); a.add_argument("--far", type=float, default=0., help="exponent of the lead in the loss")
    a.add_argument("--resume", action="store_true"); a.add_argument("--test", nargs="+", help="folders of trained seeds to score"); a.add_argument("--json", help="with --test: where the result is written")
    o = a.parse_args()
    torch.set_num_threads(1)
    if bool(o.out) == bool(o.test): a.error("give --out FOLDER to train, or --test FOLDER ... to score")
    test(o) if o.test else train(o)


if __name__ == "__main__": main()
