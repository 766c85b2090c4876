"""`scipy.stats.qmc` without the rest of `scipy.stats`, which takes 0.4 s more to import.

The module needs the package around it only for quasi-random normal samples. So it is imported
with a stand-in in the package's place, which is taken away again; what is missed in it later is
looked up in the package. Where scipy needs more than that, the import is the ordinary one.
"""

import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

_PACKAGE = "scipy.stats"


class _StandIn(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(_PACKAGE) is self or name.startswith("__"):
            raise AttributeError(f"module {_PACKAGE!r} has no attribute {name!r}")
        return getattr(import_module(_PACKAGE), name)


def _import() -> Any:
    """Return the module `scipy.stats.qmc`."""
    spec = None if _PACKAGE in sys.modules else find_spec(_PACKAGE)
    if spec is not None and spec.submodule_search_locations is not None:
        stand_in = sys.modules[_PACKAGE] = _StandIn(_PACKAGE)
        stand_in.__path__ = spec.submodule_search_locations
        try:
            return import_module(f"{_PACKAGE}.qmc")
        except (ImportError, AttributeError):
            pass  # the ordinary import follows
        finally:
            del sys.modules[_PACKAGE]
    return import_module(f"{_PACKAGE}.qmc")


qmc = _import()
