"""Involution against the textbook form (unfold), a loop of shifts, and a dense 3x3 convolution: time and peak memory.

    python nbs/_bench/involution.py [--write] [--part usual | last]

All ways take turns in one process, and the fastest of the rounds counts; memory is the growth of the peak resident
set over what the inputs need, each way in a process of its own. The part "last" has the maps of a training of
hicnn_psta_small in bfloat16, channels last, with one thread and two: what is computed in that order against a copy to
the usual order in float32, the taps there, and a copy back. On a GPU the notebook 20a measures the share of the
bandwidth. Writes results/involution.json.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F

from sports_nb.layers.involution import _engine, involution2d, plain_involution2d, unfold_involution2d
from sports_nb.train.recipes import provenance

BATCH, GROUP = 4, 16
LAST_BATCH, LAST_SHAPES = (
    24,
    [(32, 32), (32, 24), (32, 16), (64, 16), (64, 12), (64, 8), (128, 8), (128, 6), (128, 4)],
)  # at 128, 96 and 64 px
SHAPES = [(64, 56), (64, 28), (128, 28), (128, 14), (256, 28), (256, 14)]
WAYS = dict(ours=involution2d, unfold=unfold_involution2d, shifts=plain_involution2d)


def make(c, n, k):
    torch.manual_seed(0)
    x, psi = torch.randn(BATCH, c, n, n), torch.randn(BATCH, c // GROUP, k, k, n, n)
    return x, psi, torch.randn(c, c, 3, 3) / c**0.5


def step(way, x, psi, theta, backward):
    "One forward pass, or forward and backward"
    if not backward:
        with torch.no_grad():
            return F.conv2d(x, theta, padding=1) if way == "conv3x3" else WAYS[way](x, psi)
    x = x.detach().requires_grad_()
    if way == "conv3x3":
        theta = theta.detach().requires_grad_()
        return F.conv2d(x, theta, padding=1).sum().backward()
    psi = psi.detach().requires_grad_()
    return WAYS[way](x, psi).sum().backward()


def times(c, n, k, rounds):
    args, out = make(c, n, k), {}
    for backward in (False, True):
        best = dict.fromkeys([*WAYS, "conv3x3"], float("inf"))
        for i in range(rounds + 1):
            for way in best:
                start = time.perf_counter()
                step(way, *args, backward)
                if i:
                    best[way] = min(best[way], time.perf_counter() - start)
        out["forward+backward" if backward else "forward"] = {way: round(1000 * v, 3) for way, v in best.items()}
    return out


def copied(x, psi):
    "By way of the usual order and float32, as it was before there were taps for channels last"
    y = involution2d(*(t.to(torch.float32, memory_format=torch.contiguous_format) for t in (x, psi)))
    return y.to(x.dtype, memory_format=torch.channels_last)


def last_times(c, n, rounds):
    "Milliseconds forward, and forward and backward, of a map as it lies in memory in a training"
    torch.manual_seed(0)
    make = lambda channels: torch.randn(LAST_BATCH, channels, n, n).bfloat16().to(memory_format=torch.channels_last)
    x, psi, grad = (
        make(c).requires_grad_(),
        make(c // GROUP * 49).unflatten(1, (c // GROUP, 7, 7)).requires_grad_(),
        make(c),
    )
    ways, out = dict(last=involution2d, copied=copied), {}
    best = {way: [float("inf")] * 2 for way in ways}
    for i in range(rounds + 1):
        for way, f in ways.items():
            start = time.perf_counter()
            y = f(x, psi)
            middle = time.perf_counter()
            torch.autograd.grad(y, (x, psi), grad)
            if i:
                best[way] = [min(a, b) for a, b in zip(best[way], (middle - start, time.perf_counter() - start))]
    for i, what in enumerate(("forward", "forward+backward")):
        out[what] = {way: round(1000 * t[i], 3) for way, t in best.items()}
    return out


def memory(way, c, n, k):
    "MB by which the peak grows in forward and backward, over the inputs"
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import involution as b; b.report({way!r}, "
        f"{c}, {n}, {k})"
    )
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def status(key):
    return (
        next(
            int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key)
        )
        / 1024
    )


def report(way, c, n, k):
    args = make(c, n, k)
    small = tuple(t[:1, :GROUP] if i == 0 else t[:1, :1] if i == 1 else t[:GROUP, :GROUP] for i, t in enumerate(args))
    step(way, *(t.contiguous() for t in small), True)  # what libraries allocate once
    before = status("VmRSS:")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    step(way, *args, True)
    print(status("VmHWM:") - before)


def usual_part(rounds):
    rows = []
    for k in (7, 3):
        for c, n in SHAPES:
            t = times(c, n, k, rounds)
            mb = {way: round(memory(way, c, n, k), 1) for way in (*WAYS, "conv3x3")}
            both = t["forward+backward"]
            rows.append(
                dict(
                    K=k,
                    channels=c,
                    map=n,
                    batch=BATCH,
                    group_channels=GROUP,
                    milliseconds=t,
                    extra_megabytes=mb,
                    faster_than_unfold=round(both["unfold"] / both["ours"], 2),
                    faster_than_shifts=round(both["shifts"] / both["ours"], 2),
                    time_over_conv3x3=round(both["ours"] / both["conv3x3"], 2),
                    memory_over_unfold=round(mb["ours"] / max(mb["unfold"], 0.1), 3),
                )
            )
            print({key: v for key, v in rows[-1].items() if key not in ("batch", "group_channels")}, flush=True)
    x, psi, _ = make(16, 8, 3)
    return dict(
        what="involution, float32, CPU",
        engine=_engine(x, psi, 1),
        threads=torch.get_num_threads(),
        load=round(os.getloadavg()[0], 2),
        gpu="not measured: no GPU was at hand",
        rows=rows,
        **provenance(),
    )


def last_part(rounds):
    rows = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        for c, n in LAST_SHAPES:
            t = last_times(c, n, rounds)
            rows.append(
                dict(
                    threads=threads,
                    K=7,
                    channels=c,
                    map=n,
                    batch=LAST_BATCH,
                    group_channels=GROUP,
                    milliseconds=t,
                    faster_than_copied={what: round(v["copied"] / v["last"], 2) for what, v in t.items()},
                )
            )
            print({key: v for key, v in rows[-1].items() if key not in ("batch", "group_channels")}, flush=True)
    return dict(
        what="involution, bfloat16, channels last, CPU", load=round(os.getloadavg()[0], 2), rows=rows, **provenance()
    )


if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("--write", action="store_true")
    ap.add_argument("--rounds", type=int, default=7)
    ap.add_argument(
        "--part", choices=("usual", "last"), help="measure this part alone; the other stays as it is in the file"
    )
    a = ap.parse_args()
    path = Path("results/involution.json")
    result = json.loads(path.read_text()) if path.exists() else {}
    if a.part != "last":
        result = usual_part(a.rounds) | {k: v for k, v in result.items() if k == "channels_last"}
    if a.part != "usual":
        result["channels_last"] = last_part(a.rounds)
    if a.write:
        path.write_text(json.dumps(result, indent=1) + "\n")
