"""The peers' Branin as an objective of ours."""

from peer_branin import branin

from objectives.functions.box import Vector
from objectives.functions.synthetic import Branin


class PeerBranin(Branin):
    """Branin that records its evaluations."""

    def formula(self, x: Vector) -> float:
        return branin(*x.tolist())
