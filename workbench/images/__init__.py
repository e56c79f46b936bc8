"""Pictures: guarded reading, folders and shards, tiles."""

from typing import TYPE_CHECKING

from workbench import lazy

if TYPE_CHECKING:
    from workbench.images.files import list_images as list_images, read_image as read_image, write_png as write_png
    from workbench.images.sources import Source as Source, open_source as open_source

lazy.show(
    globals(),
    {
        "Source": "workbench.images.sources",
        "list_images": "workbench.images.files",
        "open_source": "workbench.images.sources",
        "read_image": "workbench.images.files",
        "write_png": "workbench.images.files",
    },
)
