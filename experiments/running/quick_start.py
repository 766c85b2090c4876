"""A start that takes half the time: what a run may never use is imported when it is used.

- Imports make many objects and no garbage, yet the collector would look through all of them
  again and again: 0.13 s of processor time.
- ConfigSpace imports three distributions and a class of `scipy.stats`, which takes 0.6 s, for
  parameters that are normal, beta, or integers on a log scale. It is imported here with
  stand-ins for the four, which load the real one when they are called, read, or an instance is
  checked against them. `scipy.stats` itself is left as it was found, so its next import is the
  ordinary one. Where ConfigSpace needs more than the four, its own next import is that too.
- SciPy copies all names of NumPy, and with them imports its translator from Fortran and its
  tools for tests, 0.06 s. Python's own `LazyLoader` leaves both until one of their names is used.
"""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import LazyLoader, find_spec, module_from_spec
from types import ModuleType
from typing import Any

_DEFERRED = {
    "scipy.stats": ("beta", "truncnorm", "uniform"),
    "scipy.stats._distn_infrastructure": ("rv_continuous_frozen",),
}


@contextmanager
def quick_start() -> Iterator[None]:
    """Make the imports inside cheap; what they made is kept out of later collections."""
    gc.disable()
    try:
        _import_config_space()
        for name in ("f2py", "testing"):
            _import_later("numpy", name)
        yield
    finally:
        gc.freeze()
        gc.enable()


def _import_config_space() -> None:
    if not sys.modules.keys().isdisjoint(["ConfigSpace", *_DEFERRED]):
        return
    for module, names in _DEFERRED.items():
        sys.modules[module] = ModuleType(module)
        vars(sys.modules[module]).update({name: _StandIn(module, name) for name in names})
    try:
        import_module("ConfigSpace")
    except (ImportError, AttributeError, TypeError):
        for name in [name for name in sys.modules if name.split(".")[0] == "ConfigSpace"]:
            del sys.modules[name]
    finally:
        for module in _DEFERRED:
            del sys.modules[module]


def _import_later(package: str, name: str) -> None:
    full_name = f"{package}.{name}"
    spec = None if full_name in sys.modules else find_spec(full_name)
    if spec is None or spec.loader is None:
        return
    spec.loader = LazyLoader(spec.loader)
    module = sys.modules[full_name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    setattr(sys.modules[package], name, module)


class _StandIn:
    """Stands for one name of a module that is imported at the first use."""

    def __init__(self, module: str, name: str) -> None:
        self._place = (module, name)

    def _real(self) -> Any:
        module, name = self._place
        return getattr(import_module(module), name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._real()(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real(), name)

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, self._real())
