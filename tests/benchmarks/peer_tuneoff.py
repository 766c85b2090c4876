"""The peers' Branin as an objective of ours."""

from peer_branin import branin

from objectives.functions.box import Vector
from objectives.functions.synthetic import Branin


class PeerBranin(Branin):
    """Branin that writes down what it evaluates."""

    def formula(self, x: Vector) -> float:
        return branin(*x.tolist())
