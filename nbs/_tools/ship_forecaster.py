"""Make the forecaster that ships out of a training: count how its errors scatter, and write weights and card.

    SPORTS_NB_DATA=... sports_nb train nbs/_recipes/forecast.toml --out FOLDER
    SPORTS_NB_DATA=... python nbs/_tools/ship_forecaster.py FOLDER/best

The spread is calibrated for what `analyse` gives it: histories that HICNN-PSTA read in films, here of BallPlay-M's
validation sessions and of basketball400's validation clips under both conditions. From exact histories it is then too
careful. No test data is looked at. `sports_nb experiment forecast --data real` scores what ships.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

import sports_nb
from sports_nb.experiments.estimated import estimated_motions
from sports_nb.experiments.forecast_benchmark import distances
from sports_nb.experiments.forecast_runs import plain_windows
from sports_nb.train.checkpoints import load_checkpoint, save_checkpoint
from sports_nb.train.recipes import provenance


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument(
        "checkpoint", help="of a training, or the weights that ship, to calibrate them anew for another estimator"
    )
    o = a.parse_args()
    model = load_checkpoint(o.checkpoint)
    model.half().float()  # as the weights are kept
    t = model.config.horizon
    sets = [
        plain_windows(m, t)
        for m in (
            estimated_motions("ballplay", "val"),
            estimated_motions("basketball400", "validation"),
            estimated_motions("basketball400", "validation", "hard"),
        )
    ]
    parts = [distances(model, windows, True) for windows in sets]
    least, rng = min(len(p[0]) for p in parts), np.random.default_rng(0)
    chosen = [
        [x[i] for x in p] for p in parts for i in [rng.permutation(len(p[0]))[: 2 * least]]
    ]  # no set outweighs the others by far
    model.calibrate(*(torch.from_numpy(np.concatenate(x)) for x in zip(*chosen)))
    card = {k: v for k, v in model.card.items() if k not in ("model", "config", "sha256", "parameters")}
    card["calibration"] = dict(
        windows=[len(c[0]) for c in chosen],
        data=(
            "films of BallPlay-M validation sessions and of basketball400 validation clips (standard, hard), estimated"
        ),
        commit=provenance()["commit"],
    )
    print(save_checkpoint(model, Path(sports_nb.__file__).parent / "weights" / "ms_gcn_body13", card))


if __name__ == "__main__":
    main()
