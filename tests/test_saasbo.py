"""Facts of SAASBO: its prior finds the parameter that matters."""

import numpy as np
import pytest
import torch
from botorch.fit import fit_gpytorch_mll
from gpytorch.mlls import ExactMarginalLogLikelihood

from asking import floats
from optimizers.one_thread import one_thread
from optimizers.saasbo import Saasbo


def _make(n_taus: int) -> Saasbo:
    return Saasbo(floats(10), seed=0, n_initial=4, num_restarts=1, raw_samples=8, n_taus=n_taus)


def test_only_the_parameter_that_matters_has_a_short_length_scale() -> None:
    points = torch.from_numpy(np.random.default_rng(0).random((20, 10)))
    objective = torch.sin(6 * points[:, 3:4])
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = _make(4)._build(points, objective)
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
    scales = model.covar_module.base_kernel.lengthscale.detach().reshape(4, 10).numpy()
    others = np.delete(scales, 3, axis=1)
    assert np.all(scales[:, 3] < 2.0)
    assert np.all(np.median(others, axis=1) > 10 * scales[:, 3])


def test_a_number_of_models_that_is_none_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"saasbo.n_taus: expected an integer of at least 1, got 0"
    ):
        _make(0)
