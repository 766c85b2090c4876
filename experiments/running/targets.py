"""The classes that YAML files name under `_target_`, for optimizers and objectives alike."""

from collections.abc import Callable, Mapping
from typing import Any

from hydra.utils import get_object


def check_targets(family: str, name: str, settings: Any, base: type) -> Callable[..., Any]:
    """Return the class or the function that a YAML file names.

    Args:
        family: `optimizer` or `objective`.
        name: the name of the YAML file.
        settings: its settings; nodes inside them may name further classes.
        base: the class that the named class has to be derived from.

    Raises:
        ValueError: no class is named, or one cannot be imported, or is no subclass of `base`.
    """
    place = settings.get("_target_") if isinstance(settings, Mapping) else None
    if place is None:
        raise ValueError(
            f"{family}={name}: expected a YAML file that names a class in _target_, got none; add "
            f"a line such as _target_: mypackage.mymodule.MyClass"
        )
    found = _importable(family, name, "_target_", place)
    for key, value in settings.items():
        _check_nested(family, name, str(key), value)
    if not callable(found) or (isinstance(found, type) and not issubclass(found, base)):
        raise ValueError(
            f"{family}={name}: expected its _target_ to be a subclass of {base.__name__}, got "
            f"{place}; correct _target_ in the YAML file"
        )
    made: Callable[..., Any] = found
    return made


def _check_nested(family: str, name: str, where: str, settings: Any) -> None:
    if isinstance(settings, Mapping):
        for key, value in settings.items():
            if key == "_target_":
                _importable(family, name, f"{where}._target_", value)
            else:
                _check_nested(family, name, f"{where}.{key}", value)
    elif isinstance(settings, list | tuple):
        for place, value in enumerate(settings):
            _check_nested(family, name, f"{where}.{place}", value)


def _importable(family: str, name: str, where: str, place: Any) -> Any:
    try:
        return get_object(place)
    except Exception as error:  # importing a plug-in may raise anything
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        reason = " ".join(str(cause).split())
        raise ValueError(
            f"{family}={name}: expected its {where} to be a class that can be imported, got "
            f"{place} ({reason}); correct {where} in the YAML file, install its package, or run "
            f"the command in the folder that contains the module"
        ) from error
