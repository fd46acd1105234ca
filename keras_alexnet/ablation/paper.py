"""What the 2012 paper says of its parts: the differences that an ablation is compared with."""

import dataclasses

TEN_VIEWS = "ten views"


@dataclasses.dataclass(frozen=True)
class Claim:
    """What the paper says of one part.

    Attributes:
        words: the difference that leaving the part out makes.
        section: where the paper says so.
        points: the difference in top-1 error, in points; two if the paper gives two.
    """

    words: str
    section: str
    points: tuple[float, ...] = ()


CLAIMS = {
    "lrn": Claim(
        "+1.4 top-1, +1.2 top-5; four layers on CIFAR-10: 13 % error in place of 11 %",
        "section 3.3",
        (1.4, 2.0),
    ),
    "overlap": Claim("+0.4 top-1, +0.3 top-5", "section 3.4", (0.4,)),
    "dropout": Claim("substantial overfitting", "section 4.2"),
    "flip": Claim("substantial overfitting without crops and flips", "section 4.1"),
    "crop": Claim("substantial overfitting without crops and flips", "section 4.1"),
    "color": Claim("over +1 top-1", "section 4.1", (1.0,)),
    "tanh": Claim(
        "about 6 times as many epochs to 25 % training error, four layers on CIFAR-10",
        "section 3.1, Figure 1",
    ),
    TEN_VIEWS: Claim(
        "+1.5 top-1 (39.0 % in place of 37.5 %), +1.3 top-5", "section 6, footnote", (1.5,)
    ),
}
