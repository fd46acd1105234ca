"""What a user of torchvision would read photographs with. Without TensorFlow, for its workers."""

import io
from collections.abc import Iterator, Sequence
from typing import Any

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Photographs:
    """A PyTorch data set of encoded images, again and again, of a million images.

    Args:
        images: encoded images.
    """

    def __init__(self, images: Sequence[bytes]):
        from torchvision import transforms

        self._images = images
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
        return 1_000_000

    def __getitem__(self, index: int) -> Any:
        from PIL import Image

        encoded = self._images[index % len(self._images)]
        return self._transform(Image.open(io.BytesIO(encoded)).convert("RGB"))


def batches(images: Sequence[bytes], batch_size: int, workers: int) -> Iterator[Any]:
    """Returns batches float32 `[batch, 3, 224, 224]` of torchvision's transforms of photographs.

    Args:
        images: encoded images.
        batch_size: images in a batch.
        workers: processes that read.
    """
    from torch.utils.data import DataLoader

    loader: DataLoader[Any] = DataLoader(
        Photographs(images),  # type: ignore[arg-type]
        batch_size,
        num_workers=workers,
        # A fork of a process that runs TensorFlow may wait for its threads without an end.
        multiprocessing_context="spawn",
    )
    return iter(loader)
