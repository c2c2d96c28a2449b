"""Train HICNN-PSTA small for pose on single images: LSPET 1-8000, drawn people, filmed synthetic athletes, and crops without a person.

    SPORTS_NB_DATA=... python nbs/_tools/train_hicnn_psta.py --out build/hicnn_psta

Resolution grows with the epochs: a small map costs less than a large one, and the network is convolutional. Validation is LSPET
8001-9000, never trained on. Stop it at any time; run it again and it goes on at the last epoch. The synthetic pictures are drawn
once and kept in the folder `--out`.
"""
import argparse, json, math, os, queue, subprocess, threading, time, zipfile
from functools import lru_cache, partial
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from sports_nb.analysis.tracking import crop, square
from sports_nb.data import synthetic as draw
from sports_nb.data.recordings import read_ballplay
from sports_nb.models.hicnn_psta import hicnn_psta_small
from sports_nb.models.registry import create_model
from sports_nb.train.checkpoints import save_checkpoint

LSP = [9, 8, 10, 7, 11, 6, 3, 2, 4, 1, 5, 0]  # LSP14 columns of body13's joints after the head
FLIP = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11]


def read_lspet(root):
    d = np.load(Path(root)/"lspet/crops128_joints.npz")
    keys = {k: d[k] for k in d.files}
    z = zipfile.ZipFile(Path(root)/"lspet/crops128.zip")
    names = sorted(n for n in z.namelist() if n.endswith(".jpg"))
    frames = np.stack([cv2.cvtColor(cv2.imdecode(np.frombuffer(z.read(n), np.uint8), 1), cv2.COLOR_BGR2RGB) for n in names])
    return names, frames, keys


def body13(joints, visible):
    head = joints[:, 12:14].mean(1, keepdims=True)
    return np.concatenate([head, joints[:, LSP]], 1).astype(np.float32), np.concatenate([visible[:, 12:14].all(1, keepdims=True), visible[:, LSP]], 1)


def free_square(joints, visible, size=128):
    "The largest corner square of the crop that stays 8 px clear of the person's joints (x, y, side); None if it is too small"
    p = joints[visible]
    if len(p) < 8: return None
    (x0, y0), (x1, y1) = p.min(0) - 8, p.max(0) + 8
    side, right, low = max((max(mx, my), right, low) for mx, right in [(x0, 0), (size - x1, 1)] for my, low in [(y0, 0), (size - y1, 1)])
    side = int(min(side, size))
    return ((size - side)*right, (size - side)*low, side) if side >= 24 else None


def background(rng, frame, joints, visible, size):
    "A crop without a person: a free corner of a real image, blown up, or its tiles shuffled, or a drawn background"
    kind = rng.random()
    if kind < .45 and (sq := free_square(joints, visible)) is not None:
        x, y, s = sq
        out = cv2.resize(frame[y:y+s, x:x+s], (size, size))
        return out[:, ::-1] if rng.random() < .5 else out
    if kind < .75:
        n = int(rng.choice([3, 4, 5, 6]))
        s = 128//n
        tiles = [frame[i*s:(i+1)*s, j*s:(j+1)*s] for i in range(n) for j in range(n)]
        tiles = [np.rot90(tiles[k], rng.integers(4)) for k in rng.permutation(n*n)]
        return cv2.resize(np.vstack([np.hstack(tiles[i*n:(i+1)*n]) for i in range(n)]), (size, size))
    return draw.random_background(rng, size)


def draw_people(job):
    "People in any pose, 128 px"
    seed, n = job
    rng = np.random.default_rng([7, *seed])
    return [draw.random_pose_image(rng, size=128) for _ in range(n)]


@lru_cache(1)
def ballplay(): return read_ballplay()


FILM, WIDER = 160, 1.5 # side of the kept crops, px; how much wider than the network's view they are, to leave room for shifts


def film_people(job):
    "Crops of one synthetic clip: the athlete in four frames, and what the same place looks like without anybody"
    seed, k = job
    rng = np.random.default_rng([11, seed, k])
    low = rng.uniform(.22, .75)
    named = dict(size=(480, 270), reach=(low, min(low + .2, .95)), hard=k % 4 == 0)
    if k % 4 == 3:
        motions = ballplay()
        m = motions.read(int(rng.choice(motions.splits["train"])))
        i = int(rng.integers(max(len(m["position"]) - 40, 1)))
        clip = draw.render_motion(m["position"][i:i+40], m["ball"][i:i+40], performer=k % 900, seed=50_000 + k, **named)
    else: clip = draw.make_clip(draw.ACTIONS[k//4 % 4], performer=k % 900, seed=50_000 + k, n_frames=40, **named)
    crops, joints, visible, empty = [], [], [], []
    for i in rng.choice(len(clip), min(4, len(clip)), replace=False):
        p, v = clip.position[i], clip.visible[i]
        if v.sum() < 4: continue
        x, affine = crop(clip.draw(i), square(np.r_[p.min(0), p.max(0)], 1.3*WIDER), FILM)
        crops.append(x); joints.append((p - affine[:, 2])/affine[0, 0]); visible.append(v)
    if k % 4 != 3:
        clip = draw.make_clip(draw.ACTIONS[k//4 % 4], performer=k % 900, seed=50_000 + k, n_frames=40, absent=(0, 40), **named)
        frame = clip.draw(int(rng.integers(40)))
        for _ in range(2):
            side = rng.uniform(.25, 1.2)*270
            x, y = rng.uniform(0, 480), rng.uniform(0, 270)
            empty.append(crop(frame, np.array([x - side/2, y - side/2, x + side/2, y + side/2]), 128)[0])
    return crops, joints, visible, empty


def pools(out, seed, drawn=12_000, films=4_000):
    "Synthetic pictures, drawn once: (frames, joints, visible) of people, of filmed athletes, and frames of empty places"
    target = out/"pools.npz"
    if not target.exists():
        with get_context("spawn").Pool(2) as pool:
            people = [x for part in pool.imap(draw_people, [((seed, i), 100) for i in range(drawn//100)]) for x in part]
            film = pool.map(film_people, [(seed, k) for k in range(films)], chunksize=20)
        columns = lambda j: [x for clip in film for x in clip[j]]
        tmp = out/"pools.tmp.npz"
        np.savez(tmp, **{f"drawn_{i}": np.stack(c) for i, c in enumerate(zip(*people))}, **{f"film_{i}": np.stack(columns(i)) for i in range(3)}, empty=np.stack(columns(3)))
        os.replace(tmp, target)
    with np.load(target) as f: return tuple(f[f"drawn_{i}"] for i in range(3)), tuple(f[f"film_{i}"].astype([np.uint8, np.float32, bool][i]) for i in range(3)), f["empty"]


def coarse(rng, x):
    "As far away as an athlete may be, or as hard compressed as videos are"
    size = len(x)
    if rng.random() < .3:
        n = int(size*np.exp(rng.uniform(np.log(.3), 0)))
        x = cv2.resize(cv2.resize(x, (n, n), interpolation=cv2.INTER_AREA), (size, size), interpolation=cv2.INTER_LINEAR)
    if rng.random() < .2: x = cv2.imdecode(cv2.imencode(".jpg", x, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 80))])[1], 1)
    return x


def colour(rng, x):
    x = x.astype(np.float32)
    x = (x - 128)*rng.uniform(.6, 1.4) + 128 + rng.uniform(-35, 35)
    if rng.random() < .15: x[:] = x.mean(-1, keepdims=True)
    else: x *= rng.uniform(.8, 1.2, 3).astype(np.float32)
    if rng.random() < .25: x += rng.normal(0, rng.uniform(2, 12), x.shape).astype(np.float32)
    return np.clip(x, 0, 255).astype(np.uint8)


def warp(rng, frame, joints, visible, size, behind=None, zoom=1.):
    "Rotation, scale, shift and flip in one warp over the image `behind`; joints that leave the crop become invisible"
    h = frame.shape[0]
    a = np.deg2rad(rng.normal(0, 15) if rng.random() < .95 else rng.uniform(-180, 180))
    s = np.exp(rng.uniform(np.log(.72), np.log(1.3)))*size/h*zoom
    t = rng.uniform(-.12, .12, 2)*size
    flip = rng.random() < .5
    r = s*np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    if flip: r = r @ np.diag([-1, 1])
    m = np.c_[r, size/2 + t - r @ [h/2, h/2]]
    mode = [cv2.BORDER_CONSTANT, cv2.BORDER_REPLICATE, cv2.BORDER_TRANSPARENT][rng.choice(3, p=[.25, .25, .5])]
    fill = tuple(int(v) for v in rng.integers(0, 255, 3))
    dst = None if behind is None or mode != cv2.BORDER_TRANSPARENT else np.ascontiguousarray(behind)
    if dst is None and mode == cv2.BORDER_TRANSPARENT: mode = cv2.BORDER_REPLICATE
    out = cv2.warpAffine(frame, m, (size, size), dst=dst, flags=cv2.INTER_LINEAR if s > .6 else cv2.INTER_AREA, borderMode=mode, borderValue=fill)
    p = joints @ m[:, :2].T + m[:, 2]
    if flip: p, visible = p[FLIP], visible[FLIP]
    if rng.random() < .2:
        w, hh = (rng.uniform(.1, .35, 2)*size).astype(int)
        x, y = rng.integers(0, size - w), rng.integers(0, size - hh)
        out[y:y+hh, x:x+w] = rng.integers(0, 255, 3)
        visible = visible & ~((p > (x, y)) & (p < (x + w, y + hh))).all(1)
    return out, p.astype(np.float32), visible & ((p >= 0) & (p < size)).all(1)


def make_batch(rng, data, drawn, film, empty, idx, size):
    frames, joints, visible = data
    xs, ps, vs = [], [], []
    for i in idx:
        kind = rng.random()
        if kind < .09:
            # three of five are places of the synthetic clips
            e = empty[rng.integers(len(empty))] if rng.random() < .6 else background(rng, frames[i], joints[i], visible[i], size)
            x, p, v = cv2.resize(e, (size, size), interpolation=cv2.INTER_AREA), np.zeros((13, 2), np.float32), np.zeros(13, bool)
            if rng.random() < .5: x = x[:, ::-1]
        elif kind < .16:
            j = rng.integers(len(drawn[0]))
            x, p, v = warp(rng, *(d[j] for d in drawn), size)
        elif kind < .34:
            j = rng.integers(len(film[0]))
            x, p, v = warp(rng, *(d[j] for d in film), size, zoom=WIDER)
        else:
            j = rng.integers(len(frames))
            x, p, v = warp(rng, frames[i], joints[i], visible[i], size, background(rng, frames[j], joints[j], visible[j], size))
        xs.append(colour(rng, coarse(rng, np.ascontiguousarray(x)))); ps.append((p + .5)/size); vs.append(v)
    return torch.from_numpy(np.stack(xs)).permute(0, 3, 1, 2), torch.from_numpy(np.stack(ps)).float(), torch.from_numpy(np.stack(vs))


def prefetch(make, items, depth=6):
    q = queue.Queue(depth)
    def run():
        for it in items: q.put(make(it))
        q.put(None)
    threading.Thread(target=run, daemon=True).start()
    while (b := q.get()) is not None: yield b


def gaussian_maps(p, hw, sigma):
    "Normalised Gaussians around p (b k 2 in [0, 1]), b k h w"
    n = hw[-1]
    c = (torch.arange(n) + .5)/n
    g = lambda u: (-(c - u[..., None])**2/(2*(sigma/n)**2)).exp()
    m = g(p[..., 1])[..., :, None]*g(p[..., 0])[..., None, :]
    return m/m.sum((-1, -2), keepdim=True).clamp(min=1e-9)


def loss_fn(out, p, v, sigma=1.2):
    "Elastic net (eq. 7), map cross-entropy and confidence, for every prediction block"
    total, vf = 0, v.float()
    n = vf.sum().clamp(min=1)
    for blk in out["blocks"]:
        logits = blk["logits"][:, 0].float()
        target = gaussian_maps(p, logits.shape, sigma)
        ce = -(target*F.log_softmax(logits.flatten(-2), -1).view_as(logits)).sum((-1, -2))
        d = blk["keypoints"][:, 0].float() - p
        en = (d.abs() + d**2).sum(-1)
        bce = F.binary_cross_entropy_with_logits(blk["confidence_logits"][:, 0].float(), vf)
        total = total + ((ce*.2 + en)*vf).sum()/n + .1*bce
    return total


def pck(pred, ref, vis, t=.2):
    torso = np.linalg.norm(ref[:, 2] - ref[:, 7], axis=-1)
    box = np.array([np.ptp(r[v], axis=0).max() if v.any() else np.nan for r, v in zip(ref, vis)])
    torso = np.where(vis[:, 2] & vis[:, 7], torso, box/3)
    d = np.linalg.norm(pred - ref, axis=-1)
    return [float((d <= t*s[:, None])[vis].mean()*100) for s in (torso, box)]


@torch.no_grad()
def evaluate(model, data, size, rng):
    model.eval()
    frames, joints, visible = data
    preds, conf, neg = [], [], []
    for i in range(0, len(frames), 50):
        x = np.stack([cv2.resize(f, (size, size), interpolation=cv2.INTER_AREA) for f in frames[i:i+50]])
        o = model.estimate(torch.from_numpy(x).permute(0, 3, 1, 2)[:, None].float()/255)
        preds.append(o["keypoints"][:, 0].numpy()); conf.append(o["confidence"][:, 0].mean(-1).numpy())
        sq = [free_square(j, v) for j, v in zip(joints[i:i+50], visible[i:i+50])]
        b = [cv2.resize(f[s[1]:s[1]+s[2], s[0]:s[0]+s[2]], (size, size)) for f, s in zip(frames[i:i+50], sq) if s is not None]
        if b: neg.append(model.estimate(torch.from_numpy(np.stack(b)).permute(0, 3, 1, 2)[:, None].float()/255)["confidence"][:, 0].mean(-1).numpy())
    pos, neg = np.concatenate(conf), np.concatenate(neg)
    auc = float((pos[:, None] > neg[None]).mean())
    return (*pck(np.concatenate(preds)*128 - .5, joints, visible), auc, len(neg))


def ship(out, a, valid):
    "The averaged weights as a checkpoint; the card says what they were trained on and what they score"
    state = torch.load(out/"last.pt", weights_only=True)
    model = create_model("hicnn_psta_small")
    model.load_state_dict(state["ema"])
    log = [json.loads(line) for line in (out/"log.jsonl").read_text().splitlines()] if (out/"log.jsonl").exists() else []
    crop = log[-1]["size"] if log else 128
    torso, box, auc, n = evaluate(model, valid, crop, np.random.default_rng(0))
    card = dict(task="joints of one person in a crop (body13); the action head is trained by train_actions.py", crop=crop,
                data=["LSPET images 1-8000 (research use: cite Johnson and Everingham, CVPR 2011)", "synthetic people and clips of sports_nb.data.synthetic",
                      "motions of BallPlay-M (training sessions), drawn by sports_nb.data.synthetic"],
                licence="weights for research use, as the images they were trained on",
                command=f"python nbs/_tools/train_hicnn_psta.py --sizes {a.sizes} --lr {a.lr} --batch {a.batch} --seed {a.seed}" + " --no-bf16"*(not a.bf16),
                commit=subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip(), seed=a.seed, epochs=state["epoch"],
                note="single images only" + ("; trained under bfloat16 autocast" if a.bf16 else ""),
                validation=dict(data="LSPET images 8001-9000", pck_02_torso=round(torso, 2), pck_02_box=round(box, 2), person_or_background_auc=round(auc, 4), backgrounds=n))
    print(save_checkpoint(model, a.ship, card), json.dumps(card["validation"]))


if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("--out", required=True); ap.add_argument("--sizes", default="64x12,96x44")
    ap.add_argument("--lr", type=float, default=2.5e-3); ap.add_argument("--batch", type=int, default=32)
    ap.add_argument("--ship", default="", help="do not train: write the averaged weights of the last epoch to this path, with their card")
    ap.add_argument("--threads", type=int, default=2); ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--bf16", action=argparse.BooleanOptionalAction, default=True, help="bfloat16 autocast: faster where the CPU has AVX512-BF16 or AMX")
    a = ap.parse_args()
    torch.manual_seed(a.seed); torch.set_num_threads(a.threads); cv2.setNumThreads(1)
    out = Path(a.out); out.mkdir(parents=True, exist_ok=True)
    names, frames, keys = read_lspet(os.environ["SPORTS_NB_DATA"])
    joints, visible = body13(keys["joints"][..., :2], keys["joints"][..., 2] > 0)
    train, valid = (tuple(x[s] for x in (frames, joints, visible)) for s in (slice(0, 8000), slice(8000, 9000)))
    mean = np.stack([joints[:8000, k][visible[:8000, k]].mean(0) for k in range(13)])
    print("mean pose PCK@0.2 torso, box:", pck(np.repeat(mean[None], 1000, 0), valid[1], valid[2]), flush=True)
    if a.ship:
        ship(out, a, valid); raise SystemExit
    synthetic = pools(out, a.seed)
    print("drawn, film, empty:", *(len(x) for x in (synthetic[0][0], synthetic[1][0], synthetic[2])), flush=True)
    sizes = [int(s.split("x")[0]) for s in a.sizes.split(",") for _ in range(int(s.split("x")[1]))]
    model = hicnn_psta_small()
    ema = hicnn_psta_small(); ema.load_state_dict(model.state_dict())
    # attention learns more slowly: at the full rate its output grows to many times the features that it is added to
    slow = {id(p) for p in model.attention.parameters()}
    groups = {(p.ndim > 1, id(p) in slow): [] for p in model.parameters()}
    for p in model.parameters(): groups[p.ndim > 1, id(p) in slow].append(p)
    opt = torch.optim.AdamW([dict(params=ps, weight_decay=.02*matrix, scale=.2 if att else 1.) for (matrix, att), ps in groups.items()], lr=a.lr)
    steps, start, step = 8000//a.batch, 0, 0
    total = steps*len(sizes)
    if (out/"last.pt").exists():
        s = torch.load(out/"last.pt", weights_only=True)
        model.load_state_dict(s["model"]); ema.load_state_dict(s["ema"]); start = s["epoch"]; step = start*steps
        if "opt" in s: opt.load_state_dict(s["opt"])
        print("resumed at epoch", start, flush=True)
    for epoch in range(start, len(sizes)):
        rng, size, t0, run = np.random.default_rng([a.seed, epoch]), sizes[epoch], time.time(), 0.
        model.train()
        order = rng.permutation(8000).reshape(steps, a.batch)
        for x, p, v in prefetch(partial(make_batch, rng, train, *synthetic, size=size), order):
            lr = a.lr*min(1, (step - start*steps + 1)/300)*(.5 + .5*math.cos(math.pi*step/total)) + 1e-6
            for g in opt.param_groups: g["lr"] = lr*g["scale"]
            with torch.autocast("cpu", torch.bfloat16, enabled=a.bf16): o = model.estimate(x[:, None].float()/255)
            loss = loss_fn(o, p, v, sigma=1.2 if size > 64 else 1.)
            opt.zero_grad(); loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 5.)
            opt.step(); step += 1; run += loss.item()
            with torch.no_grad():
                m = min(.998, (1 + step)/(10 + step))
                for e, q in zip(ema.state_dict().values(), model.state_dict().values()):
                    e.lerp_(q, 1 - m) if e.is_floating_point() else e.copy_(q)
        pk = evaluate(ema, valid, size, rng)
        line = json.dumps(dict(epoch=epoch + 1, size=size, loss=round(run/steps, 4), pck_torso=round(pk[0], 2), pck_box=round(pk[1], 2), auc=round(pk[2], 4),
                              n_background=pk[3], seconds=round(time.time() - t0)))
        print(line, flush=True)
        with open(out/"log.jsonl", "a") as f: f.write(line + "\n")
        tmp = out/"last.tmp"
        torch.save(dict(model=model.state_dict(), ema=ema.state_dict(), opt=opt.state_dict(), epoch=epoch + 1), tmp); os.replace(tmp, out/"last.pt")
