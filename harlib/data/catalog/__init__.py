"""Which videos there are: published lists, a person's own folder, a table."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    ["background", "corrections", "folder", "names", "own_videos", "table"],
    {"catalog": ["Catalog"]},
)
