"""Speed, size and work of every registered model, side by side.

    python nbs/_bench/model_speed.py [PATTERN] [--threads 2] [--size 128] [--frames 16] [--windows 256]
                                     [--device cpu] [--json FILE]

Networks that read frames are timed on one clip of `--frames` frames of `--size` px, recognisers of poses on one clip
of as many poses, both reported in frames/s; forecasters on `--windows` windows, reported in windows/s, and on one
window, in ms (ten poses in, ten out); evaluation mode, network alone. GFLOPs are multiply-adds counted twice, for one
frame or one window, by torch's own counter, which sees convolutions, matrix products and attention and nothing
element-wise (the sums of an involution are not in it). The time is the fastest of several runs (other programs only
ever add to it); median and load are printed beside it.
"""

import argparse
import json
import os
import platform
import time

import pandas as pd
import torch
from torch.utils.flop_counter import FlopCounterMode
from tqdm.auto import tqdm

from sports_nb.models.contract import example_inputs
from sports_nb.models.registry import create_model, list_models
from sports_nb.train.recipes import provenance

HORIZON = 10  # poses that a forecaster writes here, whatever it was made for


def timed(model, inputs, device, seconds):
    "Seconds of at least five runs, the fastest first."
    inputs, wait, times = (
        {k: x.to(device) for k, x in inputs.items()},
        torch.cuda.synchronize if device.startswith("cuda") else lambda: None,
        [],
    )
    model(**inputs)  # the warm-up
    began = time.perf_counter()
    while len(times) < 5 or time.perf_counter() - began < seconds:
        wait()
        start = time.perf_counter()
        model(**inputs)
        wait()
        times.append(time.perf_counter() - start)
    return sorted(times)


def measure(name, *, size, frames, windows, device, seconds):
    "One row of the table."
    forecast = create_model(name).task == "forecast"
    torch.manual_seed(0)
    model = create_model(name, **(dict(horizon=HORIZON) if forecast else {})).to(device).eval()
    n = windows if forecast else frames
    inputs = (
        example_inputs(model, batch=windows) if forecast else example_inputs(model, batch=1, frames=frames, size=size)
    )
    with torch.inference_mode():
        with FlopCounterMode(display=False) as counter:
            model(**{k: x.to(device) for k, x in inputs.items()})
        times = timed(model, inputs, device, seconds)
        alone = timed(model, example_inputs(model, batch=1), device, seconds / 3) if forecast else None
    parameters = sum(p.numel() for p in model.parameters())
    return {
        "model": name,
        "per second": n / times[0],
        "unit": "windows" if forecast else "frames",
        **(
            {"one window (ms)": 1000 * alone[0], "one window, median (ms)": 1000 * alone[len(alone) // 2]}
            if forecast
            else {}
        ),
        "median": n / times[len(times) // 2],
        "parameters (M)": parameters / 1e6,
        "fp16 (MB)": 2 * parameters / 1e6,
        "GFLOPs": counter.get_total_flops() / n / 1e9,
        "runs": len(times),
    }


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("pattern", nargs="?", default="*")
    p.add_argument("--threads", type=int, default=os.cpu_count())
    p.add_argument("--size", type=int, default=128, help="side of the frames, px")
    p.add_argument("--frames", type=int, default=16, help="length of the clip")
    p.add_argument("--windows", type=int, default=256, help="windows in a batch of a forecaster")
    p.add_argument("--device", default="cpu")
    p.add_argument("--seconds", type=float, default=3.0, help="time for each model, at least")
    p.add_argument("--json", help="also write the table to this file")
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    names = list_models(a.pattern)
    if not names:
        p.error(f"no model is called {a.pattern!r}; there are {', '.join(list_models())}")
    rows = [
        measure(n, size=a.size, frames=a.frames, windows=a.windows, device=a.device, seconds=a.seconds)
        for n in tqdm(names, unit="model")
    ]
    processor = (
        torch.cuda.get_device_name(a.device)
        if a.device.startswith("cuda")
        else f"{a.threads} threads of {platform.processor() or platform.machine()}"
    )
    load = os.getloadavg()[0]
    print(
        pd.DataFrame(rows)
        .round(
            {
                "per second": 1,
                "one window (ms)": 2,
                "one window, median (ms)": 2,
                "median": 1,
                "parameters (M)": 3,
                "fp16 (MB)": 2,
                "GFLOPs": 4,
            }
        )
        .to_string(index=False, na_rep="")
    )
    print(
        f"\n{processor}; torch {torch.__version__}; recognisers {a.frames} frames of {a.size} px, forecasters "
        f"{a.windows} windows; load average {load:.1f}"
    )
    if a.json:
        with open(a.json, "w") as f:
            json.dump(
                {
                    "rows": rows,
                    "processor": processor,
                    "torch": torch.__version__,
                    "load": load,
                    "size": a.size,
                    "frames": a.frames,
                    "windows": a.windows,
                    "horizon": HORIZON,
                }
                | provenance(),
                f,
                indent=1,
            )


if __name__ == "__main__":
    main()
