"""The glossary of the report: what its technical terms mean.

The page explains a term on hover and on keyboard focus, and lists all of them at its end.
"""

TERMS = {
    "bootstrapped": "Intervals made by drawing the runs again, with replacement, many times. With "
    "few runs they are too narrow.",
    "budget": "What a run may spend, counted in full evaluations. A trial at fidelity 1/3 spends a "
    "third; a failed evaluation spends as much as a successful one.",
    "centre bias": "An optimizer that looks in the centre of the space first gains on functions "
    "whose published optimum lies there.",
    "common budget": "The largest budget that all runs of an objective were given. Incumbents are "
    "compared there.",
    "critical difference": "The smallest difference of two mean ranks that Nemenyi's test calls "
    "significant.",
    "data profile": "The share of problems that an optimizer solves within a budget, as a multiple "
    "of the number of parameters plus one (Moré and Wild, 2009).",
    "distinguishable": "Two optimizers are distinguishable if a test of their difference is "
    "significant after correction for the number of comparisons.",
    "ERT": "Expected running time: the budget that all runs spent before they reached a target, "
    "divided by the number of runs that reached it.",
    "fANOVA": "The share of the variance of a forest's predictions that the main effect of a "
    "parameter explains (Hutter et al., 2014).",
    "fidelity": "The share of a full evaluation that a trial makes, such as fewer training steps.",
    "Friedman test": "A test of whether all optimizers have the same mean rank over objectives.",
    "group": "A set of optimizers of which no two are distinguishable.",
    "Holm": "A correction of p-values for the number of comparisons, so that the probability of "
    "any false claim stays at the significance level.",
    "hypervolume": "With several goals, the volume that the incumbents dominate, up to a reference "
    "point. More is better.",
    "incumbent": "The best successful evaluation of a run so far, at the highest fidelity. With "
    "several goals, there are as many as no other one dominates.",
    "instance": "A problem of the same kind with another optimum or other data; here each seed has "
    "its own.",
    "mean rank": "The optimizers' runs of one seed are ranked from 1, the best; ranks are averaged "
    "over seeds, then over objectives. A run without a success ranks last.",
    "Nemenyi test": "A test of the differences between all pairs of mean ranks after the Friedman "
    "test.",
    "own time": "The seconds that the optimizer itself spends in ask and tell.",
    "performance profile": "The share of problems that an optimizer solves within a multiple of "
    "the budget that the fastest optimizer needed (Dolan and Moré, 2002).",
    "regret area": "The mean over the budget of the distance from the reference value: 1 is a "
    "typical first success, 0 the optimum.",
    "seed": "The number that starts a run's random numbers. Optimizers are compared on the same "
    "seeds.",
    "SHAP": "The mean size of a parameter's contribution to a forest's predictions, as a share of "
    "all (Lundberg et al., 2020).",
    "significance level": "The probability of any false claim in the verdict, if all optimizers "
    "were equal.",
    "†": "A method of this suite's own, judged by its authors.",
}  # fmt: skip
"""By term, its explanation in one or two sentences."""
