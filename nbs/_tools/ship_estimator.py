"""Make the estimator that ships out of a training: calibrate what it says of its joints, and write weights and card.

    SPORTS_NB_DATA=... python nbs/_tools/ship_estimator.py FOLDER/final [--note TEXT]

Calibrated on views of validation pictures that chose at most the checkpoint: every third of the held-out tenth of
`people`, every other of LSPET 8001-9000, and frames of the film windows held out by film. The action head is taken as
it is: nbs/_tools/train_actions.py comes after. The training's curve (views of pictures, PCK on validation pictures)
is added to results/pose_training.json.
"""

import argparse
import json
from pathlib import Path

import pandas as pd

import sports_nb
from sports_nb.data.clip_pool import Windows
from sports_nb.data.image_sets import read_film, read_people
from sports_nb.data.readers import read_lspet
from sports_nb.io.files import write_atomic
from sports_nb.train.calibrate import Views, calibrate
from sports_nb.train.checkpoints import load_checkpoint, read_progress, save_checkpoint
from sports_nb.train.recipes import provenance


def curve(folder, card):
    "What a training measured on its way"
    settings = read_progress(folder / "last.safetensors")["settings"]
    rows = pd.read_csv(folder / "curves.csv")
    seen = [c for c in rows if c.startswith("valid ") and ("pck" in c or "confidence" in c)]
    points = [
        {
            "views": int(r["step"]) * settings["preset"]["batch"],
            "hours": round(r["seconds"] / 3600, 2),
            **{c.removeprefix("valid "): round(r[c], 4) for c in seen},
        }
        for r in rows.dropna(subset=seen[:1]).to_dict("records")
    ]
    return {k: card[k] for k in ("command", "commit", "hardware", "start") if k in card} | dict(
        recipe=card.get("recipe"),
        sizes=settings["sizes"],
        batch=settings["preset"]["batch"],
        lr=settings["preset"]["lr"],
        processes=settings["processes"],
        precision=settings["precision"],
        seed=settings["seed"],
        points=points,
    )


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("checkpoint")
    a.add_argument("--note", default="", help="what the card should say beside")
    a.add_argument("--name", default="hicnn_psta_small")
    o = a.parse_args()
    model = load_checkpoint(o.checkpoint)
    people, lspet, film = read_people(), read_lspet(), Windows(read_film("val"), 1)
    sets = dict(
        people=Views([people[int(i)] for i in people.splits["val"][::3]]),
        lspet=Views([lspet[int(i)] for i in lspet.splits["val"][::2]]),
        film=Views([film.draw(epoch, i) for epoch in range(6) for i in range(len(film))]),
    )
    figures = calibrate(model, sets)
    for name, f in figures.items():
        print(name, {k: round(v, 3) for k, v in f.items()})
    card = {k: v for k, v in model.card.items() if k not in ("model", "config", "sha256", "parameters", "versions")}
    card["calibration"] = dict(
        figures=figures,
        commit=provenance()["commit"],
        command=f"python nbs/_tools/ship_estimator.py {Path(o.checkpoint).name}",
    )
    if o.note:
        card["note"] = o.note
    package = Path(sports_nb.__file__).parent
    print(save_checkpoint(model, package / "weights" / o.name, card))
    folder, kept = Path(o.checkpoint).parent, package.parent / "results" / "pose_training.json"
    if (folder / "curves.csv").exists():
        runs = json.loads(kept.read_text())["runs"] if kept.exists() else []
        made = curve(folder, card)
        runs = [r for r in runs if (r["recipe"], r["start"]) != (made["recipe"], made.get("start"))] + [made]
        write_atomic(
            kept,
            json.dumps(
                dict(what="PCK (torso) on validation pictures during the trainings of hicnn_psta_small", runs=runs),
                indent=1,
            ).encode(),
        )


if __name__ == "__main__":
    main()
