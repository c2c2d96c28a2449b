"""Train MS-GCN for body13 on the labels of Penn Action (2D poses of 15 sports actions), and score it beside the naive forecasts.

    SPORTS_NB_DATA=... python nbs/_tools/train_ms_gcn.py --out FOLDER [--resume]

FOLDER lies outside the repository: it gets the log and the checkpoints. Validation is every fifth training video; the test videos
are read only by `--test`, which scores the best checkpoint; `--test --ship` also writes results/ and the weights.
"""
import argparse, json, math, platform, subprocess, sys, time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from sports_nb.core.metrics import limb_angle_error, pck
from sports_nb.core.skeleton import convert, get_skeleton
from sports_nb.data.recordings import read_penn
from sports_nb.models.forecaster import frame_of_reference, fill_missing
from sports_nb.models.registry import create_model
from sports_nb.train.checkpoints import load_state, save_checkpoint, save_state, write_atomic

HISTORY, HORIZON, SCORED = 10, 10, 8   # poses in, poses learnt (400 ms), poses of the protocol
BODY = get_skeleton("body13")
LIMBS = torch.tensor(BODY.limbs)


def read_parts():
    "Penn Action labels as body13: positions (n 13 2) px, visible (n 13), first frame of each video, and the videos of each part"
    penn = read_penn()
    motions = [penn[i] for i in range(len(penn))]
    position, visible = (np.concatenate([m[key] for m in motions]) for key in ("position", "visible"))
    position, visible = convert(position, penn.skeleton, "body13", visible)
    position = torch.from_numpy(np.ascontiguousarray(position, dtype=np.float32))
    position[(position == 1).all(-1)] = torch.nan   # (1, 1) is how the labels say "nowhere"
    visible = torch.from_numpy(np.ascontiguousarray(visible)) & torch.isfinite(position).all(-1)
    return position, visible, np.cumsum([0] + [len(m["position"]) for m in motions]), penn.splits


class Windows:
    "All windows of HISTORY + SCORED poses inside the videos; the last poses up to HORIZON are marked not visible where the video ends"
    def __init__(self, position, visible, offsets, videos, step=1):
        self.position, self.visible = position, visible
        starts = [np.arange(offsets[v], offsets[v + 1] - HISTORY - SCORED + 1, step) for v in videos]
        self.starts = np.concatenate(starts)
        self.ends = np.concatenate([np.full(len(s), offsets[v + 1]) for s, v in zip(starts, videos)])
        # nobody seen in the history, or fewer than 4 joints: nothing to learn from
        seen = visible.numpy().sum(1)
        self.keep = np.array([seen[s:s + HISTORY].max() >= 4 for s in self.starts])
        self.starts, self.ends = self.starts[self.keep], self.ends[self.keep]

    def __len__(self): return len(self.starts)

    def __getitem__(self, i):
        index = self.starts[i][:, None] + np.arange(HISTORY + HORIZON)
        inside = torch.from_numpy(index < self.ends[i][:, None])
        index = torch.from_numpy(np.minimum(index, self.ends[i][:, None] - 1))
        # coordinates that are not there are NaN in the history; in the target they are not visible, whatever they hold
        position = self.position[index]
        position[:, HISTORY:] = position[:, HISTORY:].nan_to_num()
        return position, self.visible[index] & inside[..., None]


def augment(position, visible, g):
    "Mirror, reversed time, rotation, uneven scale: the same for history and target"
    b = len(position)
    rand = lambda *size: torch.rand(*size, generator=g)
    mirror = rand(b) < 0.5
    position = torch.where(mirror[:, None, None, None], position[:, :, BODY.flip]*torch.tensor([-1., 1.]), position)
    visible = torch.where(mirror[:, None, None], visible[:, :, BODY.flip], visible)
    # reversed windows are the HISTORY + SCORED poses that surely lie inside the video
    n = HISTORY + SCORED
    back = (rand(b) < 0.3)[:, None, None]
    order = torch.cat([torch.arange(n).flip(0), torch.arange(n, HISTORY + HORIZON)])
    late = torch.arange(HISTORY + HORIZON)[None, :, None] >= n
    position = torch.where(back[..., None], position[:, order], position)
    position = torch.cat([position[:, :HISTORY], position[:, HISTORY:].nan_to_num()], 1)
    visible = torch.where(back, visible[:, order] & ~late, visible)
    angle = (rand(b) - 0.5)*math.radians(40)
    stretch = torch.exp((rand(b) - 0.5)*0.5)
    c, s = angle.cos(), angle.sin()
    turn = torch.stack([torch.stack([c*stretch, -s], -1), torch.stack([s*stretch, c], -1)], -2)
    return torch.einsum("bde,btke->btkd", turn, position), visible


def disturb(history, visible, size, g):
    "What an estimator does to a history: jitter, a few wild joints, joints that are missing, joints that are guessed"
    b, t, k, _ = history.shape
    rand = lambda *s: torch.rand(*s, generator=g)
    randn = lambda *s: torch.randn(*s, generator=g)
    noisy = rand(b, 1, 1, 1) < 0.3
    jitter = randn(b, t, k, 2)*0.02*rand(b, 1, 1, 1) + randn(b, 1, k, 2)*0.015*rand(b, 1, 1, 1)
    wild = (rand(b, t, k, 1) < 0.01)*randn(b, t, k, 2)*0.15
    history = history + torch.where(noisy, (jitter + wild)*size, torch.zeros(()))
    # some callers know no visibility: then guesses of hidden joints count as seen
    kept = visible | ((rand(b, 1, 1) < 0.5) & torch.isfinite(history).all(-1))
    missing = (rand(b, 1, 1) < 0.3) & ((rand(b, t, k) < 0.1) | (rand(b, 1, k) < 0.04))
    kept = kept & ~missing
    return history, torch.where(kept.any(2).any(1)[:, None, None], kept, visible)


def loss_of(prediction, target, visible, size, limb_weight):
    "Eq. (12) with the distance as norm, over visible joints, plus the chord between the directions of the limbs"
    distance = ((prediction - target)/size).square().sum(-1).add(1e-8).sqrt()
    # the logarithm keeps far misses, which no forecast could have known, from outweighing the near ones
    distance = 0.1*torch.log1p(distance/0.1)
    loss = (distance*visible).sum()/visible.sum().clamp(min=1)
    if not limb_weight: return loss
    i, j = LIMBS.T
    unit = lambda p: (v := (p[..., j, :] - p[..., i, :])/size)/v.square().sum(-1, keepdim=True).add(4e-4).sqrt()
    chord = (unit(prediction) - unit(target)).square().sum(-1).add(1e-6).sqrt()
    both = visible[..., i] & visible[..., j]
    return loss + limb_weight*(chord*both).sum()/both.sum().clamp(min=1)


def scores(prediction, target, visible):
    "Figures at 2, 4 and 8 frames: PCK@0.05 of the box of visible joints (percent), limb-angle norm and mean per limb (radians)"
    out = {}
    for f in (2, 4, 8):
        p, r, v = (x[:, f - 1].numpy() for x in (prediction, target, visible))
        norm, limb = limb_angle_error(p, r, v)
        out[f] = dict(pck=pck(p, r, v, threshold=0.05, normaliser="box"), norm=float(np.nanmean(norm)), limb=float(np.nanmean(limb)))
    return out


@torch.no_grad()
def forecast(model, windows, guessed, batch=256):
    "Forecasts, references and their visibility; `guessed`: the model is given the annotators' guesses of hidden joints too, else only visible ones"
    model.eval()
    parts = []
    for i in np.array_split(np.arange(len(windows)), len(windows)//batch + 1):
        p, v = windows[i]
        parts.append((model(p[:, :HISTORY], visible=None if guessed else v[:, :HISTORY], horizon=SCORED), p[:, HISTORY:HISTORY + SCORED], v[:, HISTORY:HISTORY + SCORED]))
    return [torch.cat(x) for x in zip(*parts)]


def score_all(model, part, step):
    "Figures of a model and of the naive forecasts on one part, with hidden joints guessed and masked"
    windows = Windows(*part, step)
    rows = {"ms_gcn": model, "zero_velocity": create_model("zero_velocity"), "constant_velocity": create_model("constant_velocity")}
    rows |= {f"damped_velocity {d}": create_model("damped_velocity", damping=d) for d in (0.5, 0.7, 0.8, 0.9)}
    figures = {name: {label: scores(*forecast(row, windows, guessed)) for label, row in rows.items()} for name, guessed in (("guessed", True), ("masked", False))}
    return dict(videos=len(part[3]), windows=len(windows), step=step, **figures)


def gain(figures):
    "How far MS-GCN is above the best naive row, each figure and lead with the naive row that is best there"
    out = {}
    for f in (2, 4, 8):
        naive = [row[f] for label, row in figures.items() if label != "ms_gcn"]
        own = figures["ms_gcn"][f]
        out[f] = dict(pck_points=own["pck"] - max(n["pck"] for n in naive), norm_percent=100*(own["norm"]/min(n["norm"] for n in naive) - 1))
    return out


def command(words):
    "A command line as others can repeat it: the folder is theirs to name"
    return "python nbs/_tools/train_ms_gcn.py " + " ".join("FOLDER" if before == "--out" else w for before, w in zip([""] + words, words) if "--note" not in (before, w))


def test(o):
    "Score the best checkpoint of a run on validation and test videos; write results/ms_gcn_penn.json, and weights and card with --ship"
    best = json.loads((Path(o.out)/"best.json").read_text())
    model = create_model(o.model, **best["config"]).eval()
    model.load_state_dict(safetensors.torch.load_file(Path(o.out)/"best.safetensors"))
    model.half().float()   # the figures are those of the weights that ship
    position, visible, offsets, videos = read_parts()
    figures = {part: score_all(model, (position, visible, offsets, videos[part]), step) for part, step in (("val", 5), ("test", 1))}
    gains = {part: {name: gain(f[name]) for name in ("guessed", "masked")} for part, f in figures.items()}
    run = lambda *c: subprocess.run(c, capture_output=True, text=True, cwd=Path(__file__).parent).stdout.strip()
    report = dict(
        task="forecast: 10 poses in, 8 out, windows inside the videos, one from every `step` frames, at least 4 joints seen in the history; Penn Action's frame rate is unknown, 25 a second is assumed: 2, 4 and 8 frames are 80, 160 and 320 ms",
        figures="pck: PCK@0.05 of the box around the visible joints of the reference pose, percent; norm: limb-angle norm over 12 limbs, radians; limb: mean per limb, radians",
        hidden="guessed: every row is given the annotators' guesses of hidden joints; masked: hidden joints are masked for every row. Only visible joints are scored",
        results=figures, gain=gains,
        training=dict(command=o.note or command(best["argv"]), seed=o.seed, epoch=best["epoch"], selected_on="every fifth training video"),
        command=command(sys.argv[1:]), commit=run("git", "rev-parse", "HEAD"), date=time.strftime("%Y-%m-%d"),
        data="Penn Action labels (2,326 videos, official split)", versions=dict(python=platform.python_version(), torch=torch.__version__, numpy=np.__version__))
    if o.ship:
        root = Path(run("git", "rev-parse", "--show-toplevel"))
        (root/"results").mkdir(exist_ok=True)
        write_atomic(root/"results"/"ms_gcn_penn.json", (json.dumps(report, indent=1) + "\n").encode())
        card = dict(description="MS-GCN, body13 in 2D: 10 poses at 25 a second in, 400 ms ahead out", licence="research use: trained on Penn Action (Zhang, Zhu and Derpanis, ICCV 2013), which is research data",
                    **{k: report[k] for k in ("data", "training", "commit", "date", "task", "figures", "hidden", "results", "gain")})
        save_checkpoint(model, root/"sports_nb"/"weights"/"ms_gcn_body13", card)
    print(json.dumps(dict(results=figures, gain=gains), indent=1))


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--out", required=True); a.add_argument("--model", default="ms_gcn_small")
    a.add_argument("--epochs", type=int, default=10); a.add_argument("--batch", type=int, default=128); a.add_argument("--lr", type=float, default=2e-3)
    a.add_argument("--limb-weight", type=float, default=0.05); a.add_argument("--seed", type=int, default=0); a.add_argument("--resume", action="store_true")
    a.add_argument("--override", default="{}", help="JSON of config fields to change")
    a.add_argument("--test", action="store_true", help="score the best checkpoint instead of training")
    a.add_argument("--ship", action="store_true", help="with --test: write the result and the weights into the repository")
    a.add_argument("--note", help="with --test: how the checkpoint was trained, where it took more than one command")
    o = a.parse_args()
    torch.set_num_threads(1)
    if o.test: return test(o)
    torch.manual_seed(o.seed)
    out = Path(o.out); out.mkdir(parents=True, exist_ok=True)
    position, visible, offsets, videos = read_parts()
    train, val = (Windows(position, visible, offsets, videos[part], step) for part, step in (("train", 1), ("val", 5)))
    model = create_model(o.model, **{**dict(horizon=HORIZON), **json.loads(o.override)})
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.998))
    plain = [p for n, p in model.named_parameters() if p.ndim < 2 or n.split(".")[-1] in ("M", "B")]
    matrices = [p for p in model.parameters() if not any(p is q for q in plain)]
    optimiser = torch.optim.AdamW([dict(params=matrices, weight_decay=0.02), dict(params=plain, weight_decay=0.)], lr=o.lr)
    steps = o.epochs*(len(train)//o.batch)
    both, progress = nn.ModuleDict(dict(model=model, average=average)), dict(epoch=0, step=0, best=-1e9)
    if o.resume and (out/"last.safetensors").exists(): progress = load_state(out/"last.safetensors", both, optimiser)
    log = open(out/"log.jsonl", "a")
    def say(**line): print(json.dumps(line), file=log, flush=True)
    say(argv=sys.argv[1:], windows=len(train), val=len(val), parameters=sum(p.numel() for p in model.parameters()), config=asdict(model.config))
    for epoch in range(progress["epoch"], o.epochs):
        # a generator for each epoch, so that a resumed run sees what an unbroken one would
        g = torch.Generator().manual_seed(1000*o.seed + epoch)
        order = torch.randperm(len(train), generator=g).numpy()
        began, total = time.time(), 0.
        model.train()
        for n, i in enumerate(order[:len(order)//o.batch*o.batch].reshape(-1, o.batch)):
            p, v = augment(*train[i], g)
            known = fill_missing(p[:, :HISTORY], v[:, :HISTORY])
            _, size = frame_of_reference(known, v[:, :HISTORY])
            history, seen = disturb(p[:, :HISTORY], v[:, :HISTORY], size, g)
            loss = loss_of(model(history, visible=seen), p[:, HISTORY:], v[:, HISTORY:], size, o.limb_weight)
            # a short warm-up, then a cosine to zero
            rate = o.lr*min(1, (progress["step"] + 1)/200)*0.5*(1 + math.cos(math.pi*progress["step"]/steps))
            for group in optimiser.param_groups: group["lr"] = rate
            progress["step"] += 1
            optimiser.zero_grad(); loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.)
            optimiser.step(); average.update_parameters(model)
            total += loss.item()
            if n == 100: say(epoch=epoch, first_steps=total/(n + 1), seconds=time.time() - began)
        figures = {name: scores(*forecast(average.module, val, guessed)) for name, guessed in (("guessed", True), ("masked", False))}
        say(epoch=epoch, loss=total/(n + 1), val=figures, damping=model.damping.item(), lr=rate, seconds=time.time() - began)
        quality = sum(f[n]["pck"] - 20*f[n]["norm"] for f in figures.values() for n in (4, 8))
        if quality > progress["best"]:
            progress["best"] = quality
            write_atomic(out/"best.safetensors", safetensors.torch.save({k: x.contiguous() for k, x in average.module.state_dict().items()}))
            write_atomic(out/"best.json", json.dumps(dict(epoch=epoch, val=figures, config=asdict(model.config), argv=sys.argv[1:])).encode())
        progress["epoch"] = epoch + 1
        save_state(out/"last.safetensors", both, optimiser, progress)


if __name__ == "__main__": main()
