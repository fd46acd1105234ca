"""What a user of torchvision would read photographs with. Without TensorFlow, for its workers."""

import io
from collections.abc import Iterator, Sequence
from typing import Any

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Photographs:
    """A PyTorch data set of encoded images, again and again.

    Args:
        images: encoded images.
        length: how many images it has.
    """

    def __init__(self, images: Sequence[bytes], length: int):
        from torchvision import transforms

        self._images, self._length = images, length
        self._transform = transforms.Compose(
            [
                transforms.Resize(256),
                transforms.RandomCrop(224),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(MEAN, DEVIATION),
            ]
        )

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Any:
        from PIL import Image

        encoded = self._images[index % len(self._images)]
        return self._transform(Image.open(io.BytesIO(encoded)).convert("RGB"))


def batches(images: Sequence[bytes], batch_size: int, steps: int, workers: int) -> Iterator[Any]:
    """Returns batches float32 `[batch, 3, 224, 224]` of torchvision's transforms of photographs.

    Args:
        images: encoded images.
        batch_size: images in a batch.
        steps: how many batches there are.
        workers: processes that read.
    """
    from torch.utils.data import DataLoader

    loader: DataLoader[Any] = DataLoader(
        Photographs(images, batch_size * steps),  # type: ignore[arg-type]
        batch_size,
        num_workers=workers,
        # A fork of a process that runs TensorFlow may wait for its threads without an end.
        multiprocessing_context="spawn",
    )
    return iter(loader)
