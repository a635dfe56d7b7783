"""The source `image_folder`: finds the images that its list or its class folders name."""

from __future__ import annotations

from paddle_int8.tasks.config.data import ImageFolderSource
from paddle_int8.tasks.contracts.errors import DataError
from paddle_int8.tasks.data.pictures.class_folders import images_by_folder
from paddle_int8.tasks.data.pictures.image_files import ImageFiles
from paddle_int8.tasks.data.pictures.list_file import listed_images


def image_files(source: ImageFolderSource) -> ImageFiles:
    """The images of the source: those that its list names, or those found in its folders.

    Raises: DataError when the list or the folder is missing, or cannot be understood.
    """
    if not source.root.is_dir():
        raise DataError(
            found=f"no folder {source.root}", required="a folder of images", remedy="correct `root`"
        )
    found = (
        listed_images(source.root, source.list_file) if source.list_file else images_by_folder(source.root)
    )
    if not found.files:
        left_out = "; ".join(found.said())
        raise DataError(
            found=f"no samples in {source.list_file or source.root}{f' ({left_out})' if left_out else ''}",
            required="at least one picture",
            remedy="correct `root` or `list_file`; see docs/reference/configuration.md",
        )
    return found
