"""Which files are images, and in which words the others are counted."""

import os
from collections.abc import Callable

from keras_alexnet.utils.text import printable

EXTENSIONS = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".dib", ".gif", ".webp"),
    *(".tif", ".tiff", ".avif", ".ppm", ".pgm", ".pbm", ".pnm"),
)

_OTHER_IMAGES = (
    *(".heic", ".heif", ".jp2", ".j2k", ".jxl", ".svg", ".psd", ".dng", ".cr2", ".cr3", ".nef"),
    *(".arw", ".orf", ".rw2", ".raf", ".exr", ".hdr", ".dcm", ".tga", ".ico"),
)

_HALF = (".part", ".partial", ".crdownload", ".download", ".filepart", ".aria2", ".tmp")

# In lower case. Those of network drives hold small copies of every picture.
_JUNK = (
    *("__macosx", "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r"),
    *("@eadir", "#recycle", "@recycle", "#snapshot", "@recently-snapshot", "$recycle.bin"),
    *("system volume information", "lost+found", "network trash folder", "temporary items"),
    *("picasa.ini", "zbthumbnail.info", "__pycache__"),
)

_FIRST_BYTES = 32  # which say what a file is

_LONGEST_ENDING = 12  # longer ones are a part of the name

UNFINISHED = ".unfinished"  # ends the file that predict keeps until it has ended

HIDDEN = "hidden, or of an operating system or tool"
NO_FILE = "named pipe, socket or device"
LINK_TO_NOTHING = "link to nothing"
LINK_BACK = "link to a folder around it"
TWICE = "reached twice by links"
OF_A_RUN = "in a run's folder"
NOT_IN_A_SPLIT = "image in no split's folder"
NOT_LISTED = "image that the list of labels does not name"


def is_hidden(name: str) -> bool:
    """Returns whether a file or folder is one that operating systems and tools leave behind.

    Example:
        >>> is_hidden(".DS_Store"), is_hidden("@eaDir"), is_hidden("cat.jpg")
        (True, True, False)
    """
    return name.startswith((".", "~$")) or name.endswith("~") or name.casefold() in _JUNK


Beginning = Callable[[str, int], bytes]  # a file's path, a number of bytes → its first bytes


def beginning(path: str, size: int) -> bytes:
    """Returns the first bytes of a file, or none if it cannot be read."""
    from keras_alexnet.utils.files import open_regular

    try:
        with open_regular(path) as file:
            return file.read(size)
    except OSError:
        return b""


def is_image(path: str, name: str, beginning: Beginning = beginning) -> bool:
    """Returns whether a file is an image, by its ending or, if it has none, by its first bytes."""
    if name.lower().endswith(EXTENSIONS):
        return True
    return not ending_of(name) and _begins_like_image(beginning(path, _FIRST_BYTES))


def ending_of(name: str) -> str:
    """Returns a name's ending in lower case, or "" if it has none.

    Example:
        >>> ending_of("Cat.WebP"), ending_of("img 3. the last one of all"), ending_of("0001")
        ('.webp', '', '')
    """
    ending = os.path.splitext(name)[1].lower()
    short = 1 < len(ending) <= _LONGEST_ENDING and " " not in ending
    return ending if short else ""


def why_left_out(path: str, name: str, beginning: Beginning = beginning) -> str:
    """Returns in which words a file that is no image of `EXTENSIONS` is counted.

    Example:
        >>> why_left_out("photos/cat.heic", "cat.heic")
        '.heic (a format that is not read: convert to JPEG or PNG)'
    """
    ending = ending_of(name)
    if not ending:
        return "no ending (not an image)"
    shown = printable(ending)
    if ending in _OTHER_IMAGES:
        return f"{shown} (a format that is not read: convert to JPEG or PNG)"
    if ending in _HALF:
        return f"{shown} (half downloaded or copied)"
    if _begins_like_image(beginning(path, _FIRST_BYTES)):
        return f"{shown} (begins like an image: rename to its format's ending)"
    return f"{shown} (not an image)"


def _begins_like_image(start: bytes) -> bool:
    return (
        start.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a"))
        or start.startswith((b"II*\0", b"MM\0*"))
        or (start[:4] == b"RIFF" and start[8:12] == b"WEBP")
        or start[4:12] in (b"ftypavif", b"ftypavis")
        or (start[:2] == b"BM" and start[6:10] == bytes(4) and len(start) >= 26)
    )
