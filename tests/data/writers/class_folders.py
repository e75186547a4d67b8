"""Write a small data set as PNG files in class folders."""

from pathlib import Path

from PIL import Image

from hw5hpc.data.arrays import Arrays
from hw5hpc.data.sets import ImageSet


def write(folder: Path, arrays: Arrays, images: ImageSet) -> None:
    for part, pixels, labels in (("train", *arrays[:2]), ("test", *arrays[2:])):
        for index, (image, label) in enumerate(zip(pixels, labels, strict=True)):
            path = folder / part / images.classes[label] / f"{index:03}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            grey = images.kind == "grey"
            Image.fromarray(image[0] if grey else image.transpose(1, 2, 0)).save(path)
