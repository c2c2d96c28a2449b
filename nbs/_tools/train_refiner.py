"""Train the refiner that ships: tracks of the shipped HICNN-PSTA on training films, checkpoint chosen on held-out ones.

    SPORTS_NB_DATA=... python nbs/_tools/train_refiner.py [--epochs 40] [--first 20] \
        [--write sports_nb/weights/refiner_small]

Trains on real film (a teacher's joints as reference; the estimator saw these films too, so its errors there are a
little too small) and on basketball400-v1's training clips under hard conditions (exact joints, never seen by the
estimator). Chosen and calibrated on the film windows that are held out by film, and on basketball400's validation
clips.
"""

import argparse
import math
from pathlib import Path

import torch

from sports_nb.data.tracks import TrackWindows, vary_track
from sports_nb.experiments.estimated import estimated_motions, shipped
from sports_nb.models.registry import create_model
from sports_nb.train.checkpoints import load_checkpoint, save_checkpoint
from sports_nb.train.fit import evaluate, fit
from sports_nb.train.frame_tasks import right_joints
from sports_nb.train.recipes import provenance
from sports_nb.train.tasks import Refine


@torch.inference_mode()
def calibrate(model, windows):
    """Slope and offset of the confidence's logit, and the factor of the radius, from every other held-out window.

    Figures on the rest.
    """
    task = Refine()
    found = []
    for i in range(len(windows)):
        batch = {k: torch.from_numpy(v) for k, v in task.batch([windows[i]]).items()}
        out, visible = task._forward(model, batch), batch["visible"] & batch["frame_mask"][..., None]
        off = (out["position"] - batch["position"]).norm(dim=-1)
        found.append(
            [
                x[visible]
                for x in (
                    right_joints(out["position"], batch["position"], visible),
                    out["confidence"],
                    off / out["radius50"],
                )
            ]
        )
    right, confidence, ratio = (torch.cat(x) for x in zip(*found[1::2]))
    return dict(
        joints=len(right),
        right=right.float().mean().item(),
        said=confidence.mean().item(),
        within_radius50=(ratio <= 1).float().mean().item(),
        factor=torch.cat([f[2] for f in found[::2]]).median().item(),
    )


if __name__ == "__main__":
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--epochs", type=float, default=40)
    a.add_argument("--first", type=int, default=20, help="synthetic clips of each action")
    a.add_argument("--out", default="build/refiner")
    a.add_argument("--write", help="weights to write, without their ending")
    o = a.parse_args()
    train = estimated_motions("film", "train", progress=True)
    if o.first:
        train += estimated_motions("basketball400", "train", "hard", first=o.first, progress=True)
    valid = dict(film=TrackWindows(estimated_motions("film", "val", progress=True)))
    if o.first:
        valid["synthetic"] = TrackWindows(
            estimated_motions("basketball400", "validation", "hard", first=max(1, o.first // 4), progress=True)
        )
    torch.manual_seed(0)
    model = create_model("refiner_small")
    card = dict(
        task="joints refined over about a second (body13)",
        licence="weights for research use, as the films they were trained on",
        estimator=shipped().card["sha256"],
        **provenance(),
        data=[
            "tracks of the shipped hicnn_psta_small in HMDB51, UCF101 and jennycs basketball clips (training "
            "parts), joints by a teacher",
            f"basketball400-v1, training clips, hard: {o.first} of each action",
        ],
    )
    fit(
        model,
        Refine(),
        TrackWindows(train),
        valid,
        augment=vary_track,
        epochs=o.epochs,
        lr=1.5e-3,
        batch=32,
        seed=0,
        out=o.out,
        card=card,
        valid_every=400,
    )
    model = load_checkpoint(Path(o.out) / "best").eval()
    print({k: round(float(v), 3) for k, v in evaluate(model, valid, Refine()).items()})
    before = calibrate(model, valid["film"])
    with torch.no_grad():
        model.out.bias[6] += math.log(before["factor"])
    after = calibrate(model, valid["film"])
    print(before, after)
    if o.write:
        print(
            save_checkpoint(
                model,
                o.write,
                {
                    k: v
                    for k, v in model.card.items()
                    if k not in ("model", "config", "sha256", "parameters", "versions")
                }
                | dict(calibration=after),
            )
        )
