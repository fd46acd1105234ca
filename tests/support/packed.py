"""Archives of folders."""

import tarfile
import zipfile


def packed(folder, archive):
    """The folder, itself included, in an archive of the type that its name says."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w") as target:
            for path in sorted(folder.rglob("*")):
                target.write(path, path.relative_to(folder.parent))
    else:
        mode = "w:gz" if archive.name.endswith(("gz", "tgz")) else "w"
        with tarfile.open(archive, mode) as target:
            target.add(folder, folder.name)
    return archive
