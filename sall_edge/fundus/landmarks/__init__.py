"""Where the optic disc is, and what follows from it: which eye, and what the photograph is centred on.

    retina (working picture) -> vessels (their directions) + disc (bright spots) -> arcades (what fits) -> laterality

No network and no learned weights: anatomy as geometry, a few constants set by hand.
"""

from sall_edge.fundus.landmarks.laterality import LEAST_CONFIDENCE, Laterality, agrees, find_laterality

__all__ = ["LEAST_CONFIDENCE", "Laterality", "agrees", "find_laterality"]
