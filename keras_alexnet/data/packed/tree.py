"""The folders of an archive, listed as `os.scandir` lists those of a disk."""

import dataclasses
import os
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """A file or folder in an archive, like an `os.DirEntry`."""

    name: str
    path: str
    folder: bool

    def is_dir(self) -> bool:
        return self.folder

    def is_file(self) -> bool:
        return not self.folder

    def is_symlink(self) -> bool:
        return False


def tree_of(root: str, names: Sequence[str]) -> dict[str, list[Entry]]:
    """Returns path → what is directly in this folder, of all folders that hold files.

    Args:
        root: the path of the outermost folder.
        names: of all files, relative to it.

    Example:
        >>> [entry.name for entry in tree_of("pets.zip", ["cat/1.jpg", "cat/2.jpg"])["pets.zip"]]
        ['cat']
    """
    tree: dict[str, list[Entry]] = {root: []}

    def at(path: str) -> list[Entry]:
        found = tree.get(path)
        if found is None:
            parent, _, name = path.rpartition(os.sep)
            found = tree[path] = []
            at(parent).append(Entry(name, path, True))
        return found

    start = root + os.sep
    for name in names:
        path = start + name
        folder, _, file = path.rpartition(os.sep)
        at(folder).append(Entry(file, path, False))
    return tree
