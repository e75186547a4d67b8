"""Score a GAN's last samples, and the two ends of every scale: real images and noise."""

import torch
from torch import Tensor

from hw5hpc.data.load import DataSet
from hw5hpc.engine.distributed import Ranks, Share
from hw5hpc.engine.loop import Evaluation
from hw5hpc.experiments.classifier.train import as_bytes, flat
from hw5hpc.metrics.classes import spread
from hw5hpc.metrics.fidelity import Embedded, Reference
from hw5hpc.models.mlp import Mlp

CHUNK = 1000


@torch.no_grad()
def score(
    classifier: Mlp, data: DataSet, samples: Tensor, noise: Tensor, ranks: Ranks
) -> Evaluation:
    """Measure samples against as many real test images, beside both ends of each measure's scale.

    Args:
        classifier: gives the features and labels.
        samples: this rank's share of the generated images, floats [count, P] in [-1, 1].
        noise: as many noise images as there are samples on all ranks, uint8 [N, P].

    Returns:
        metrics.fidelity's measures of the samples; with the prefix `noise_` those of the noise;
        with `real_` those of as many training images, which share no image with the test images.
        The measures of metrics.classes have both ends too, at `real_` those of all test images.
    """
    share = ranks.share(len(noise))
    made = _embed(classifier, samples, ranks.gather(as_bytes(samples), share), share, ranks)
    count, classes = len(noise), len(data.class_names)
    test = _embed_bytes(classifier, data.test_images, ranks)
    train = _embed_bytes(classifier, data.train_images[:count], ranks)
    nothing = _embed_bytes(classifier, noise, ranks)
    reference = Reference(test.first(count), classes)
    real, end = spread(test.labels, classes), spread(nothing.labels, classes)
    metrics = {
        **reference.measure(made),
        **_prefixed("real_", real.metrics() | reference.measure(train)),
        **_prefixed("noise_", end.metrics() | reference.measure(nothing)),
        "classifier_accuracy": float((test.labels == data.test_labels).double().mean()),
    }
    return Evaluation(metrics, {"real_histogram": real.histogram.cpu().numpy()})


def _prefixed(prefix: str, metrics: dict[str, float]) -> dict[str, float]:
    return {prefix + name: value for name, value in metrics.items()}


def _embed_bytes(classifier: Mlp, images: Tensor, ranks: Ranks) -> Embedded:
    """Embed uint8 images [N, ...] that every rank holds; each looks at its share."""
    share = ranks.share(len(images))
    return _embed(classifier, flat(images[share.part]), images.flatten(1), share, ranks)


def _embed(classifier: Mlp, images: Tensor, pixels: Tensor, share: Share, ranks: Ranks) -> Embedded:
    """Embed this rank's share of images, floats [count, P]; `pixels` are all of them, in bytes."""
    parts = [classifier.features(part) for part in images.split(CHUNK)]
    features = ranks.gather(torch.cat(parts), share)
    return Embedded(pixels, features, classifier.scores(features).argmax(1))
