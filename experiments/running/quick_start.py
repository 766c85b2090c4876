"""Deferred imports that halve the start-up time: modules that a run may never need load late.

- Imports create many objects and hardly any garbage, but the garbage collector would scan them
  repeatedly. Disabling it saves 0.13 s of CPU time.
- ConfigSpace imports three distributions and one class from `scipy.stats`, which takes 0.6 s, for
  normal and beta parameters and for integers on a log scale. This module imports ConfigSpace with
  placeholders for these four names. A placeholder loads the real object when it is called, when
  an attribute of it is read, or when `isinstance` checks against it. `sys.modules` is restored
  afterwards, so that the next import of `scipy.stats` is an ordinary one. If ConfigSpace needs
  more than the four names, its next import is an ordinary one too.
- SciPy copies all names of NumPy, which imports NumPy's Fortran translator and its testing tools
  and takes 0.06 s. Python's own `LazyLoader` defers both until one of their names is used.
- Matplotlib writes the docstring and the signature of `set` for each of its classes, and fills
  tables into its docstrings. That takes 0.1 s, nearly half of its import. `import_drawing` imports
  it without them, and without FontTools' list of glyphs, which only TeX's fonts need.
"""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import LazyLoader, find_spec, module_from_spec
from types import ModuleType, SimpleNamespace
from typing import Any

_DEFERRED = {
    "scipy.stats": ("beta", "truncnorm", "uniform"),
    "scipy.stats._distn_infrastructure": ("rv_continuous_frozen",),
}


@contextmanager
def quick_start() -> Iterator[None]:
    """Make the imports in the block cheap, and exclude their objects from later collections."""
    gc.disable()
    try:
        _import_config_space()
        for name in ("f2py", "testing"):
            _import_later("numpy", name)
        yield
    finally:
        gc.freeze()
        gc.enable()


def import_drawing(module: str) -> ModuleType:
    """Import a module that draws with matplotlib, without writing matplotlib's docstrings."""
    if "matplotlib" in sys.modules:
        return import_module(module)
    gc.disable()
    try:
        with _without_docstrings(), _unused("fontTools.agl"):
            return import_module(module)
    finally:
        gc.freeze()
        gc.enable()


_DOCUMENTING: tuple[tuple[str, str, Any], ...] = (
    ("", "_add_data_doc", lambda text, names: text),
    (".artist", "kwdoc", lambda artist: ""),
    (".artist:Artist", "_update_set_signature_and_docstring", classmethod(lambda cls: None)),
    ("._docstring:_ArtistPropertiesSubstitution", "__call__", lambda self, documented: documented),
    ("._docstring:Substitution", "__call__", lambda self, documented: documented),
)
"""Functions that write matplotlib's docstrings: their module and class, their name, and what is
called instead. If a version of matplotlib lacks one of them, all are called as usual."""


@contextmanager
def _without_docstrings() -> Iterator[None]:
    owners = [_owner(place) for place, _, _ in _DOCUMENTING]
    originals = [
        vars(owner).get(name) for owner, (_, name, _) in zip(owners, _DOCUMENTING, strict=True)
    ]
    known = None not in originals
    for owner, (_, name, nothing) in zip(owners, _DOCUMENTING, strict=True) if known else ():
        setattr(owner, name, nothing)
    try:
        yield
    finally:
        for owner, (_, name, _), original in (
            zip(owners, _DOCUMENTING, originals, strict=True) if known else ()
        ):
            setattr(owner, name, original)


def _owner(place: str) -> Any:
    """Return a module of matplotlib, or a class in it, or an empty object if there is none."""
    module, _, name = place.partition(":")
    if find_spec(f"matplotlib{module}") is None:
        return SimpleNamespace()
    found = import_module(f"matplotlib{module}")
    return getattr(found, name, SimpleNamespace()) if name else found


@contextmanager
def _unused(full_name: str) -> Iterator[None]:
    """Let `import package.module` in the block import nothing; the module loads when it is used."""
    package, _, name = full_name.rpartition(".")
    if full_name in sys.modules or find_spec(package) is None:
        yield
        return
    import_module(package)
    sys.modules[full_name] = ModuleType(full_name)  # a lazy module loads at the import itself
    try:
        yield
    finally:
        del sys.modules[full_name]
        _import_later(package, name)


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
    """A placeholder for one name of a module, which is imported at the first use."""

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
