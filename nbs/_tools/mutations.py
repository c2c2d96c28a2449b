"""Would the lessons notice? Each mutation breaks one claim of exported code, and a notebook must fail because of it.

python nbs/_tools/mutations.py [PART OF A NAME ...] [--workers 2] [--verbose]
A mutated notebook runs in a temporary copy of the package, quick cells only, up to its first failing cell. That it
passes
as it stands is left to run_tests.py; after a change here, --plain makes sure that it does so in this runner too.
"""

import argparse
import json
import multiprocessing as mp
import os
import re
import shutil
import sys
import tempfile
import time
import types
import warnings
from pathlib import Path
from typing import NamedTuple

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")  # two workers share the cores; set before numpy and torch load
os.environ.update(IN_TEST="1", MPLBACKEND="agg")

ROOT = Path(__file__).resolve().parents[2]
FLAGS = {"slow", "gpu", "ui", "data"}
LIMIT = 300  # seconds for one mutation


class Mutation(NamedTuple):
    "One claim, broken"

    module: str  # whose exported code is changed, such as "layers.fusion"
    claim: str  # what no longer holds
    old: str  # stands exactly once in the module's exported cells
    new: str  # stands there instead
    notebook: str = None  # module whose notebook must fail; None: the changed one's


M = Mutation
MUTATIONS = [
    # layers
    M("layers.fusion", "eq. (9) is scaled by 1/sqrt(D)", "width**-0.5", "1.0"),
    M("layers.fusion", "a node's relation is a mean over the k-1 others", "/ max(k - 1, 1)", "/ k"),
    M(
        "layers.fusion",
        "the softmax of A_12 runs over the source nodes",
        "affinity.softmax(-1)",
        "affinity.softmax(-2)",
    ),
    M("layers.fusion", "0.3 of the other scale is added", "share: float = 0.3", "share: float = 0.2"),
    M("layers.attention", "the default scale is 1/sqrt of a head's width", "head=width // heads", "head=width"),
    M("layers.attention", "PSTA reads LN(x)", "(nn.LayerNorm(channels), PSTA(", "(nn.Identity(), PSTA("),
    M("layers.attention", "the block adds PSTA to its input", "x = x + self.psta(", "x = self.psta("),
    M("layers.attention", "a causal frame sees no later one", "mask[..., -t:].tril()", "mask[..., -t:].tril(1)"),
    M("layers.attention", "the grid term is added", "h = h + rearrange(", "h = h + 0 * rearrange("),
    M("layers.heads", "a pixel's place is its centre", "(x + 0.5)", "(x + 0.0)"),
    M(
        "layers.heads",
        "the action head sees the scene",
        "self.scene(scene)[:, :, None]",
        "0 * self.scene(scene)[:, :, None]",
    ),
    M("layers.heads", "logits go back into the features", "self.reinject(logits)", "self.reinject(maps)"),
    M("layers.heads", "padded frames have no part in the mean", "(x * m).sum(1)", "x.sum(1)"),
    M("layers.involution", "an odd map has a kernel for its last row", "ceil_mode=True", "ceil_mode=False"),
    M(
        "layers.involution",
        "the window is centred on its pixel",
        "((k // 2) * dilation,) * 4).unflatten",
        "((k // 2) * dilation + 1,) * 4).unflatten",
    ),
    M(
        "layers.graph",
        "a row of the adjacency averages over the neighbours",
        "a.sum(1, keepdim=True).clamp(min=1)",
        "a.sum(1, keepdim=True).clamp(min=2)",
    ),
    M("layers.recurrent", "the reset gate reaches the candidate", "c_in + r * c_hid", "c_in + c_hid"),
    M("layers.dct", "the transform is orthonormal", "c[0] /= math.sqrt(2)", "c[0] /= 2"),
    # models
    M(
        "models.ms_gcn_paper",
        "an acceleration is the new velocity less the old",
        "velocity - earlier]",
        "earlier - velocity]",
    ),
    M("models.ms_gcn_paper", "coarse streams come back with weight 0.6", "(0.6 * (", "(0.3 * ("),
    M("models.ms_gcn_paper", "f_pred is added to the damped velocity", "+ self.f_pred(state)", "- self.f_pred(state)"),
    M(
        "models.ms_gcn_paper",
        "the decoder goes on from the pose that it wrote",
        "now + self.damping * velocity + self.f_pred(state)",
        "past[:, -1] + self.damping * velocity + self.f_pred(state)",
    ),
    M(
        "models.ms_gcn",
        "the scales of the direct form talk to each other",
        "scales[i] + more_a - a",
        "scales[i]",
    ),
    M(
        "models.ms_gcn",
        "coarse nodes come back to their joints",
        "(pool > 0).to(x.dtype).T @ s for pool",
        "0 * (pool > 0).to(x.dtype).T @ s for pool",
    ),
    M(
        "models.forecaster",
        "a gap is filled along the line between its neighbours",
        "((t[:, None] - a) /",
        "((t[:, None] - a + 1) /",
    ),
    M(
        "models.forecaster",
        "a longer forecast starts from the last pose of the first",
        "x = torch.cat([x, out], 1)",
        "x = torch.cat([out, x], 1)",
    ),
    M("models.forecaster", "uncertainty grows where a forecast goes on", "total[-1][:, -1:] + s", "s"),
    # losses
    M("train.losses", "eq. (7) is the sum of both norms", "(d.abs() + d**2)", "(d.abs() + d)"),
    M("train.losses", "hidden joints do not count", "torch.where(mask, values, 0.0)", "values"),
    M(
        "train.losses",
        "a target map is centred on its joint",
        "torch.arange(n, device=p.device, dtype=p.dtype) + 0.5",
        "torch.arange(n, device=p.device, dtype=p.dtype)",
    ),
    M("train.plan", "the pieces of a step weigh one", "/ size / len(self.share)", "/ size"),
    M("train.plan", "it validates at the end", " or done == self.steps", ""),
    M(
        "train.step",
        "the gradient is a sum over pieces",
        "self.accelerator.backward(loss * weight)",
        "self.accelerator.backward(loss)",
    ),
    M(
        "train.callbacks",
        "the best has the highest score",
        'training.figures["score"] > best',
        'training.figures["score"] < best',
    ),
    M(
        "train.callbacks",
        "a stop keeps its state",
        "if training.main and not training.rhythm.saves(training.done)",
        "if False",
    ),
    M(
        "train.callbacks",
        "the model takes the average over",
        "training.model.load_state_dict(self.mean.module.state_dict())",
        "training.model.state_dict()",
    ),
    # assessment
    M("assessment.events", "an arm that is held up releases nothing", "_EXTENDS = 40", "_EXTENDS = 0"),
    M(
        "assessment.events",
        "feet that are tucked are no jump",
        "_ANKLE, _GATE = 0.05, 0.2, 0.06",
        "_ANKLE, _GATE = 0.05, 0.2, -9",
    ),
    M(
        "assessment.events",
        "a release comes after the fastest elbow",
        "offset=0.04, half=0.05",
        "offset=-0.04, half=0.05",
    ),
    M("assessment.repetitions", "a repetition cut by the clip is said", "if stop > until:", "if stop < 0:"),
    M(
        "assessment.repetitions",
        "landmarks lie at the median durations",
        "np.cumsum(middle)",
        "np.cumsum(middle[::-1])",
    ),
    M("assessment.measures", "a joint that is lost shuts the gate", ".mean(0).min() < _SEEN", ".mean() < 0"),
    M("assessment.measures", "a 50 % radius is 1.18 standard deviations", "np.sqrt(2 * np.log(2)))", "1.0)"),
    # core
    M(
        "core.kinematics",
        "a velocity points the way of the motion",
        'v = ds.position.differentiate("time", edge_order=2)',
        'v = -ds.position.differentiate("time", edge_order=2)',
    ),
    M(
        "core.kinematics",
        "the ends of a velocity are of second order",
        'v = ds.position.differentiate("time", edge_order=2)',
        'v = ds.position.differentiate("time", edge_order=1)',
    ),
    M("core.kinematics", "an acceleration is the derivative of the velocity", "a = velocity(ds)", "a = -velocity(ds)"),
    M("core.kinematics", "facing left turns the sign", '(facing == "left") !=', '(facing == "right") !='),
    M(
        "core.metrics",
        "a hidden torso is a third of the box",
        "box_size(ref, visible, box) / 3)",
        "box_size(ref, visible, box) / 2)",
    ),
    M(
        "core.metrics",
        "PCK counts visible joints only",
        "count = visible & np.isfinite(size)",
        "count = np.isfinite(size)",
    ),
    M("core.metrics", "angles differ by half a turn at most", "% (2 * np.pi) - np.pi)", "% (2 * np.pi))"),
    M(
        "core.skeleton",
        "a derived joint is visible if all of its sources are",
        "v = position[..., places[0], :].mean(-2), visible[..., places[0]].all(-1)",
        "v = position[..., places[0], :].mean(-2), visible[..., places[0]].any(-1)",
    ),
    M(
        "core.filters",
        "a gap longer than max_gap_s stays",
        "after - before > max_gap_s",
        "after - before > 2 * max_gap_s",
    ),
    # files in and out
    M("io.trackers", "rows of DeepLabCut come in the order of their frames", "values[order]", "values"),
    M(
        "io.trackers",
        "DeepLabCut's likelihood is the confidence",
        'confidence=out["likelihood"] if sure else None',
        "confidence=None",
    ),
    M(
        "io.arrays",
        "what Penn Action hides has confidence 0.5",
        "np.where(seen > 0, 1.0, 0.5)",
        "np.where(seen > 0, 1.0, 1.0)",
    ),
    # what becomes training data, and tracking
    M(
        "data.windows",
        "motions are resampled between their frames",
        "part[:, None, None] * (position[after]",
        "0 * part[:, None, None] * (position[after]",
    ),
    M(
        "analysis.detect",
        "joints of little confidence have little say in the box",
        "position[confidence >= min(0.3,",
        "position[confidence >= min(0.0,",
    ),
    M(
        "analysis.detect",
        "the box leaves room for flesh",
        "max((high - low).max(), 1.0) * pad",
        "max((high - low).max(), 1.0) * 0",
    ),
    M(
        "analysis.detect",
        "whatever its margin, an estimator looks at the crops of the tracker",
        "square(c, 1 / estimator.margin)",
        "square(c, 1)",
    ),
    # the seams of the main road
    M("io.sources", "frames are numbered from the first chunk on", "first += len(some)", "first += 1"),
    M("io.sources", "times must rise", "np.isfinite(time) and time > last", "np.isfinite(time)"),
    M(
        "analysis.estimators",
        "what an estimator says is finite",
        "if not np.isfinite(x).all():",
        "if False:",
    ),
    M(
        "analysis.predict",
        "a joint that is filled in counts for nothing",
        "np.where(known, np.nan_to_num(confidence, nan=1.0), 0)",
        "np.nan_to_num(confidence, nan=1.0)",
    ),
    M(
        "analysis.predict",
        "poses with y up are turned for the forecaster, and back",
        'turn = one.attrs["skeleton"], np.array([1, -1 if',
        'turn = one.attrs["skeleton"], np.array([1, 1 if',
    ),
    M("analysis.predict", "from the side, the athlete's front is ahead", "np.cross(left, up)", "np.cross(up, left)"),
    M("analysis.recognise", "where nothing moves there is no action", "[-3] < STILL", "[-3] < 0"),
    # experiments
    M("experiments.cache", "changed code makes another run", ', "code": code_hash(module)}', "}"),
    M("experiments.cache", "changed data makes another run", '**settings, "data": data, ', "**settings, "),
    M("experiments.cache", "docstrings decide nothing", "node.body[1:] or [ast.Pass()]", "node.body"),
    M("experiments.cache", "a model that is made by name decides", '{"models.registry": "models"}', "{}"),
    M("experiments.cache", "what is kept is whole", "train(part)", "train(self.folder)"),
    M("experiments.registry", "an option that means nothing is refused", "if k not in self.options]", "if False]"),
]


def notebook(module):
    "The notebook that exports a module, whatever its number"
    found = [p for p in (ROOT / "nbs").glob("*.ipynb") if re.fullmatch(r"\d+[a-z]?_" + re.escape(module), p.stem)]
    if len(found) != 1:
        raise LookupError(f"{len(found)} notebooks export {module}")
    return found[0]


def code_cells(path):
    "Number, directives and source of each code cell"
    for i, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"]):
        if cell["cell_type"] == "code":
            source = "".join(cell["source"])
            yield i, set(re.findall(r"(?m)^\s*#\s*\|\s*(\w+)", source)), source


def preload():
    "What every notebook imports, once for all children; nothing of this package"
    import cv2  # noqa: F401
    import einops  # noqa: F401
    import fastcore.test  # noqa: F401
    import h5py  # noqa: F401
    import matplotlib.pyplot as plt
    import pandas  # noqa: F401
    import scipy.signal  # noqa: F401
    import torch
    import torch._dynamo  # noqa: F401 - the first optimiser imports it
    import xarray  # noqa: F401

    torch.set_num_threads(1)
    torch.testing.assert_close(torch.ones(1), torch.ones(1))  # the first call imports much
    plt.show = lambda *_, **__: None  # nobody looks


def attempt(mutation, folder, answer):
    "Run the notebook with the mutation in it; sends (number of the cell, whether it is exported, error) or None"
    warnings.simplefilter("ignore")
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1), os.dup2(nowhere.fileno(), 2)
    for name in ("settings.ini", "results"):
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
    shutil.copytree(ROOT / "sports_nb", folder / "sports_nb", ignore=shutil.ignore_patterns("weights"))
    (folder / "sports_nb/weights").symlink_to(ROOT / "sports_nb/weights")
    changed = folder / "sports_nb" / (mutation.module.replace(".", "/") + ".py")
    changed.write_text(changed.read_text(encoding="utf-8").replace(mutation.old, mutation.new), encoding="utf-8")
    (folder / "nbs").mkdir()
    os.chdir(folder / "nbs")
    sys.path[:] = [str(folder)] + [p for p in sys.path if Path(p or ".").resolve() != ROOT]
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    for i, directives, source in code_cells(notebook(mutation.notebook or mutation.module)):
        if directives & {*FLAGS, "default_exp", "eval"}:
            continue
        exported = bool(directives & {"export", "exports"})
        if exported and mutation.notebook in (None, mutation.module):
            source = source.replace(mutation.old, mutation.new)
        try:
            exec(compile(source, f"cell {i}", "exec"), main.__dict__)
        except BaseException as error:  # a cell may raise anything
            answer.send((i, exported, f"{type(error).__name__}: {' '.join(str(error).split())[:90]}"))
            os._exit(0)
    answer.send(None)
    os._exit(0)  # without waiting for threads that a notebook left


def misplaced(mutation):
    "What is wrong with the text to replace; nothing where it is found once, in notebook and module alike"
    try:
        cells = [s for _, directives, s in code_cells(notebook(mutation.module)) if directives & {"export", "exports"}]
        module = (ROOT / "sports_nb" / (mutation.module.replace(".", "/") + ".py")).read_text(encoding="utf-8")
    except (LookupError, OSError) as error:
        return str(error)
    n = sum(s.count(mutation.old) for s in cells), module.count(mutation.old)
    if n != (1, 1):
        return (
            f"its text is found {n[0]} times in the notebook and {n[1]} times in the module, not once: {mutation.old}"
        )


def run_all(mutations, workers, plain=False):
    "Run the mutations; yields (mutation, problem or '', what caught it, seconds)"
    context, waiting, running = mp.get_context("fork"), [], []
    for mutation in mutations:
        if not plain and (problem := misplaced(mutation)):
            yield mutation, problem, "", 0.0
        else:
            waiting.append(mutation)
    waiting.reverse()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        while waiting or running:
            while waiting and len(running) < workers:
                mutation = waiting.pop()
                here, (answer, send) = Path(folder) / str(len(waiting)), context.Pipe(duplex=False)
                here.mkdir()
                process = context.Process(target=attempt, args=(mutation, here, send))
                process.start()
                send.close()
                running.append((mutation, process, answer, here, time.monotonic()))
            time.sleep(0.02)
            for job in running[:]:
                mutation, process, answer, here, start = job
                seconds, alive = time.monotonic() - start, process.is_alive()
                if alive and seconds < LIMIT and not answer.poll():
                    continue
                problem = caught = ""
                try:
                    where = answer.recv() if answer.poll() else "silent"
                except EOFError:
                    where = "silent"
                if where is None and not plain:
                    problem = f"{notebook(mutation.notebook or mutation.module).name} does not notice"
                elif where == "silent":
                    problem = f"took longer than {LIMIT} s" if alive else f"crashed (exit status {process.exitcode})"
                elif where is not None:
                    i, exported, caught = where
                    caught = f"cell {i}: {caught}"
                    if exported or plain:
                        problem = f"the code itself does not run, so no lesson was needed: {caught}"
                process.kill()
                process.join()
                shutil.rmtree(here, ignore_errors=True)
                running.remove(job)
                yield mutation, problem, caught, seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="parts of modules or claims; all mutations if none is given")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--plain", action="store_true", help="run the notebooks without mutations: all must pass")
    parser.add_argument("--verbose", action="store_true", help="say of each mutation what caught it")
    args = parser.parse_args()
    if not hasattr(os, "fork"):
        print("skipped: mutations (they need a system that can fork)")
        return 0
    chosen = [m for m in MUTATIONS if not args.names or any(n in f"{m.module}: {m.claim}" for n in args.names)]
    if not chosen:
        parser.error("no mutation to run")
    if args.plain:
        chosen = [M(module, "as it stands", "", "") for module in dict.fromkeys(m.notebook or m.module for m in chosen)]
    start, failed = time.monotonic(), []
    preload()
    for mutation, problem, caught, seconds in run_all(chosen, args.workers, args.plain):
        name = f"{mutation.module}: {mutation.claim}"
        if problem:
            failed.append(f"FAILED mutation {name}: {problem}")
        if problem or args.verbose:
            print(f"{'FAIL' if problem else 'ok':4} {seconds:5.1f} s  {name}  [{caught or problem}]", flush=True)
    print(f"{time.monotonic() - start:.0f} s in all, {args.workers} workers")
    print(*failed, sep="\n", end="\n" if failed else "")
    print(f"mutations: {len(chosen) - len(failed)} passed, {len(failed)} failed")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
