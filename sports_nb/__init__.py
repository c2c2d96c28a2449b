"""Estimate, recognise and predict sports motion from video, in a notebook."""

from importlib import import_module as _import_module

from sports_nb.core.docments import install as _install

_install()  # before any other module: their help is written from the comments in their source

__version__ = "0.1.0"

# The few verbs that a sports scientist needs; each is loaded when it is first asked for.
_VERBS = {
    "Clip": "io.video:Clip",
    "Frames": "io.sources:Frames",
    "load": "io.analysis:load",
    "read_poses": "io.poses:read_poses",
    "write_poses": "io.poses:write_poses",
    "analyse": "analysis.analyser:analyse",
    "predict": "analysis.predict:predict",
    "recognise": "analysis.recognise:recognise",
    "trace": "analysis.trace:trace",
    "report": "analysis.report:report",
    "explore": "widgets.explorer:explore",
    "compare": "widgets.compare:compare",
    "annotate": "widgets.annotator:annotate",
    "lens": "widgets.lens:lens",
    "train_dashboard": "widgets.trainer:train_dashboard",
    "create_model": "models.registry:create_model",
    "list_models": "models.registry:list_models",
    "fit": "train.fit:fit",
}
__all__ = [*_VERBS]
_OLD = {"watch": "train_dashboard"}  # names of 0.1.0; they work for one version more




def __getattr__(name):
    if name in _OLD:
        from warnings import warn

        warn(f"sports_nb.{name} is sports_nb.{_OLD[name]} now; the old name goes with the next version", stacklevel=2)
        return __getattr__(_OLD[name])
    if name not in _VERBS:
        raise AttributeError(f"sports_nb has no {name!r}; it has {', '.join(_VERBS)}")
    module, _, path = _VERBS[name].partition(":")
    value = _import_module(f"sports_nb.{module}")
    for part in path.split("."):
        value = getattr(value, part)
    globals()[name] = value
    return value


def __dir__():
    return sorted([*globals(), *_VERBS])
