"""How close generated images come to real ones, in a classifier's features and in pixels."""

from dataclasses import dataclass

import torch
from torch import Tensor

# The measures over pairs cost the square of the number of images, and depend on that number.
PAIRED = 1000
# As in the papers: Kynkäänniemi et al. 2019 (precision, recall), Naeem et al. 2020 (the other two).
MANIFOLD_NEIGHBOURS = 3
DENSITY_NEIGHBOURS = 5
DUPLICATE_QUANTILE = 0.01
# A squared distance below this part of the two squared norms is rounding, and counts as zero.
ROUNDING = 1e-13
# A neighbourhood takes in what lies on its edge, in whatever order a sum was rounded.
EDGE = 1 + 1e-6


@dataclass(frozen=True)
class Embedded:
    """Images as a classifier sees them.

    pixels: uint8 [N, P]; features: [N, F], what its last layer is given; labels: int64 [N], what
    it takes them for.
    """

    pixels: Tensor
    features: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, count: int) -> "Embedded":
        return Embedded(self.pixels[:count], self.features[:count], self.labels[:count])


class Reference:
    """Real images, prepared for measuring other sets of images against them.

    Raises:
        ValueError: there are no images.
    """

    def __init__(self, images: Embedded, classes: int) -> None:
        if not len(images):
            raise ValueError("no real images to measure against")
        self._images, self._classes = images, classes
        few = images.first(PAIRED)
        own = squared_distances(few.features, few.features)
        self._radii = EDGE * neighbour_distances(own, MANIFOLD_NEIGHBOURS)
        self._wide_radii = EDGE * neighbour_distances(own, DENSITY_NEIGHBOURS)
        self._apart = apart(own, few.labels, classes)
        nearest = neighbour_distances(squared_distances(few.pixels, few.pixels), 1)
        self._near = nearest.quantile(DUPLICATE_QUANTILE, interpolation="lower")

    def measure(self, images: Embedded) -> dict[str, float]:
        """Return every measure of a set of images.

        frechet_distance uses all images, the others the first PAIRED of both sets.

        Raises:
            ValueError: there are no images.
        """
        if not len(images):
            raise ValueError("no images to measure")
        few, real = images.first(PAIRED), self._images.first(PAIRED)
        own = squared_distances(few.features, few.features)
        cross = squared_distances(few.features, real.features)
        nearest = neighbour_distances(squared_distances(few.pixels, few.pixels), 1)
        radii = EDGE * neighbour_distances(own, MANIFOLD_NEIGHBOURS)
        return {
            "frechet_distance": frechet_distance(images.features, self._images.features),
            "precision": _share((cross <= self._radii).any(1)),
            "recall": _share((cross <= radii[:, None]).any(0)),
            "density": float((cross <= self._wide_radii).sum(1).double().mean())
            / DENSITY_NEIGHBOURS,
            "coverage": _share((cross <= self._wide_radii).any(0)),
            "diversity": diversity(apart(own, few.labels, self._classes), self._apart),
            "near_duplicates": _share(nearest < self._near),
        }


def _share(hits: Tensor) -> float:
    return float(hits.double().mean())


def squared_distances(one: Tensor, other: Tensor) -> Tensor:
    """Return the squared Euclidean distances [N, M] of rows [N, F] and [M, F], in float64.

    They are exact for bytes, and exactly zero for equal rows.
    """
    one, other = one.double(), other.double()
    norms = one.square().sum(1)[:, None] + other.square().sum(1)
    squares = torch.addmm(norms, one, other.T, alpha=-2)
    return squares.masked_fill_(squares <= ROUNDING * norms, 0)


def neighbour_distances(own: Tensor, k: int) -> Tensor:
    """Return each row's squared distance to its k-th nearest other [N], from all pairs' [N, N].

    With k others or fewer it is the distance to the farthest; 0 when there is no other at all.
    """
    own = own.clone().fill_diagonal_(-1)
    return own.topk(min(k + 1, len(own)), largest=False).values[:, -1].clamp_(min=0)


def frechet_distance(one: Tensor, other: Tensor) -> float:
    """Return the squared Fréchet distance of Gaussians fitted to features [N, F] and [M, F].

    |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)), Heusel et al. 2017 (arXiv:1706.08500), equation 6,
    with unbiased covariances S as in its code; the covariance of a single row is zero.

    With S = R'R, the last trace is the sum of the singular values of R1 R2': the roots of the
    eigenvalues of the symmetric R1 S2 R1'. No root is taken of an eigenvalue that should be zero,
    so singular covariances cost no precision.
    """
    one, other = one.double(), other.double()
    first, second = _root(one), _root(other)
    between = (one.mean(0) - other.mean(0)).square().sum()
    within = first.square().sum() + second.square().sum()
    common = torch.linalg.svdvals(first @ second.T).sum()
    return max(0.0, float(between + within - 2 * common))


def _root(features: Tensor) -> Tensor:
    """Return R [min(N, F), F] with R'R the unbiased covariance of features [N, F]."""
    scaled = (features - features.mean(0)) / max(len(features) - 1, 1) ** 0.5
    root: Tensor = torch.linalg.qr(scaled, mode="r").R
    return root


@dataclass(frozen=True)
class Apart:
    """For each class its images' number, their pairs' number and distance: all float64 [classes].

    The distance is the mean over the class's pairs, 0 for a class with fewer than two images.
    """

    counts: Tensor
    pairs: Tensor
    distance: Tensor

    @property
    def pooled(self) -> float:
        """The mean distance over the pairs of all classes, 0 when there are none."""
        return float((self.pairs * self.distance).sum() / self.pairs.sum().clamp(min=1))


def apart(own: Tensor, labels: Tensor, classes: int) -> Apart:
    """Return how far the images of a class are apart, from all pairs' squared distances [N, N]."""
    members = torch.nn.functional.one_hot(labels, classes).double()
    counts = members.sum(0)
    pairs = counts * (counts - 1)
    total = (own.sqrt() @ members * members).sum(0)
    return Apart(counts, pairs, total / pairs.clamp(min=1))


def diversity(made: Apart, real: Apart) -> float:
    """Return how far images of one class are apart, relative to real images of that class.

    The mean over the images: each counts with the mean distance of two images of its class over
    that of two real ones, an image alone in its class with 0. Where a class has fewer than two
    different real images, the mean over all classes' real pairs stands in.
    """
    usual = real.distance.where(real.distance > 0, real.pooled)
    relative = (made.distance / usual).where(usual > 0, 0.0)
    return float((made.counts * relative).sum() / made.counts.sum())
