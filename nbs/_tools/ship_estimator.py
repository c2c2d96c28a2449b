"""Make the estimator that ships out of a training: calibrate what it says of its joints, and write weights and card.

    SPORTS_NB_DATA=... python nbs/_tools/ship_estimator.py FOLDER/final [--note TEXT]

Calibrated on views of validation pictures that chose at most the checkpoint: every third of the held-out tenth of `people`, every other of
LSPET 8001-9000, and frames of the film windows held out by film. The action head is taken as it is: nbs/_tools/train_actions.py comes after.
"""
import argparse
from pathlib import Path

import sports_nb
from sports_nb.data.clips import Windows
from sports_nb.data.datasets import read_lspet
from sports_nb.data.image_sets import read_film, read_people
from sports_nb.train.calibrate import Views, calibrate
from sports_nb.train.checkpoints import load_checkpoint, save_checkpoint
from sports_nb.train.recipes import provenance


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("checkpoint")
    a.add_argument("--note", default="", help="what the card should say beside")
    a.add_argument("--name", default="hicnn_psta_small")
    o = a.parse_args()
    model = load_checkpoint(o.checkpoint)
    people, lspet, film = read_people(), read_lspet(), Windows(read_film("val"), 1)
    sets = dict(people=Views([people[int(i)] for i in people.splits["val"][::3]]), lspet=Views([lspet[int(i)] for i in lspet.splits["val"][::2]]),
                film=Views([film.draw(epoch, i) for epoch in range(6) for i in range(len(film))]))
    figures = calibrate(model, sets)
    for name, f in figures.items(): print(name, {k: round(v, 3) for k, v in f.items()})
    card = {k: v for k, v in model.card.items() if k not in ("model", "config", "sha256", "parameters", "versions")}
    card["calibration"] = dict(figures=figures, commit=provenance()["commit"], command=f"python nbs/_tools/ship_estimator.py {Path(o.checkpoint).name}")
    if o.note: card["note"] = o.note
    print(save_checkpoint(model, Path(sports_nb.__file__).parent/"weights"/o.name, card))


if __name__ == "__main__": main()
