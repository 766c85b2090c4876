"""The 24 noiseless functions of BBOB, from `ioh`.

N. Hansen, S. Finck, R. Ros and A. Auger, Real-Parameter Black-Box Optimization Benchmarking
2009: Noiseless Functions Definitions, INRIA RR-6829. An instance of a function is a translation,
rotation and vertical offset, so the optimum differs by instance; `ioh` provides it. The functions
are defined on R^d and are bounded below by the optimum there, so a further shift is possible; there
is none by default.
"""

from typing import Any

import ioh

from objectives import expected
from objectives.functions.box import BoxFunction, Vector
from objectives.override import Descriptions


class Bbob(BoxFunction):
    """One BBOB function on [-5, 5]^d."""

    def __init__(
        self,
        *,
        function: int,
        instance: int,
        dimension: int,
        shift: int | str | None,
        space: Descriptions,
    ) -> None:
        """Create the function.

        Args:
            function: the number in the report, 1 to 24.
            instance: the instance of the function, 1 or more.
            dimension: d >= 2.
            shift: the seed of a further shift, or none.
            space: keys of the parameters x1, ..., xd that replace the defaults.

        Raises:
            ValueError: a setting is out of range.
        """
        self._arguments = (
            expected.whole("function", function, 1, 24),
            expected.whole("instance", instance, 1, 2**31 - 1),  # a C int
            expected.whole("dimension", dimension, 2),
        )
        self._problem = self._new_problem()
        super().__init__(
            bounds=[(-5.0, 5.0)] * dimension,
            optimum=self._problem.optimum.y,
            minimisers=[self._problem.optimum.x],
            shift=shift,
            space=space,
        )
        if shift in (None, "none") and not space:
            self.coco = ("bbob", function, instance)

    def _new_problem(self) -> Any:
        return ioh.get_problem(*self._arguments, ioh.ProblemClass.BBOB)

    def formula(self, x: Vector) -> float:
        return float(self._problem(x))

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_problem"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._problem = self._new_problem()  # a C++ object that cannot be pickled
