"""The usual names of splits, and the setting that says which folders are splits."""

import os
import re
import unicodedata

from keras_alexnet.errors import UsageError

SPLITS = ("train", "val", "test")

NONE = "none"  # the setting for: the folders are classes, whatever their names

EXACT = {
    "train": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}

_WORDS = {
    **dict.fromkeys(("train", "training", "trn", "tr"), "train"),
    **dict.fromkeys(("val", "valid", "validate", "validation", "dev", "development"), "val"),
    # As in Food-11, whose training and validation folders lie beside "evaluation".
    **dict.fromkeys(("test", "testing", "tst", "ts", "eval", "evaluation"), "test"),
}

_HINTS = {
    **_WORDS,
    **dict.fromkeys(("labeled", "labelled"), "train"),
    **dict.fromkeys(("holdout", "heldout", "unseen"), "test"),
    # Of data sets from other countries.
    **dict.fromkeys(("trainingsdaten", "trainingsbilder", "entrainement", "entraînement"), "train"),
    **dict.fromkeys(("apprentissage", "entrenamiento", "treino", "treinamento"), "train"),
    **dict.fromkeys(("addestramento", "обучение", "训练", "训练集", "学習", "훈련"), "train"),
    **dict.fromkeys(("validierung", "validierungsdaten", "validación", "validacion"), "val"),
    **dict.fromkeys(("validação", "validacao", "validazione", "验证", "验证集", "検証"), "val"),
    **dict.fromkeys(("testdaten", "testbilder", "prueba", "pruebas", "teste", "testes"), "test"),
    **dict.fromkeys(("тест", "测试", "测试集", "テスト", "테스트"), "test"),
    **dict.fromkeys(("unlabeled", "unlabelled", "pred", "prediction", "predictions"), "other"),
}

_SHORT = ("tr", "ts")  # these are splits only if all folders around them are

_SUFFIXES = "sets?|data|datasets?|images?|imgs?|pics?|pictures?|photos?|splits?|folders?|samples?"

_NAME = re.compile(
    rf"({'|'.join(sorted(_WORDS, key=len, reverse=True))})[-_. ]?({_SUFFIXES})?[-_. ]?\d*"
)

# Words of Latin letters also end where a capital follows; other letters have no case, or seldom.
_TOKENS = re.compile(r"[A-Z]?[a-z\u00df-\u00ff]+|[A-Z]+(?![a-z])|\d+|[^\W\d_A-Za-z\u00c0-\u00ff]+")


def split_of(name: str) -> str | None:
    """Returns which split a folder of that name usually holds, or None.

    Example:
        >>> split_of("Training"), split_of("test_set"), split_of("dev"), split_of("cat")
        ('train', 'test', 'val', None)
    """
    found = _NAME.fullmatch(name.lower())
    return _WORDS[found[1]] if found else None


def is_short(name: str) -> bool:
    """Returns whether a split's name could as well be an abbreviation of something else."""
    return name.lower() in _SHORT


def hint_of(name: str) -> str | None:
    """Returns the split that a word in a name hints at, "other" for images without labels, or None.

    Example:
        >>> hint_of("seg_train"), hint_of("bullet train"), hint_of("unlabeled"), hint_of("trainer")
        ('train', 'train', 'other', None)
    """
    words = [word.lower() for word in _TOKENS.findall(unicodedata.normalize("NFC", name))]
    found = {_HINTS[word] for word in words if word in _HINTS}
    return found.pop() if len(found) == 1 else None


def parsed(splits: str) -> dict[str, str]:
    """Reads the setting `splits`: "train=Training,test=Testing" → split → folder; {} for "none".

    Raises:
        UsageError: if it cannot be read.

    Example:
        >>> parsed("train=Training, Test=Testing")
        {'train': 'Training', 'test': 'Testing'}
    """
    if splits.strip().lower() == NONE:
        return {}
    found: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in splits.split(","))):
        typed, equals, folder = (each.strip() for each in part.partition("="))
        split = split_of(typed) or typed
        folder = os.path.normpath(folder) if folder else ""
        outside = os.path.isabs(folder) or folder.split(os.sep)[0] == os.pardir
        if not equals or not folder or split not in SPLITS or split in found or outside:
            raise _unusable(splits, part)
        if any(_one_holds_the_other(folder, other) for other in found.values()):
            raise UsageError(
                "splits must be different folders, none inside another, because images to train "
                f"on must not be tested on. Received: {splits!r}."
            )
        found[split] = folder
    if not found:
        raise _unusable(splits, splits)
    return found


def _one_holds_the_other(one: str, other: str) -> bool:
    if os.curdir in (one, other):
        return True
    parts = [path.split(os.sep) for path in (one, other)]
    return all(each == its for each, its in zip(*parts, strict=False))


def _unusable(splits: str, part: str) -> UsageError:
    where = "" if part == splits else f", where {part!r} cannot be used"
    return UsageError(
        f"splits must say which folders in the data folder are {', '.join(SPLITS)}, once each, "
        f"such as train=Training,test=Testing; or {NONE}, if all folders there are classes. "
        f"Received: {splits!r}{where}."
    )
