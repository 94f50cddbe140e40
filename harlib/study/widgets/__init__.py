"""Controls and progress in JupyterLab."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, ["explore", "live", "previews", "video_data", "videos"]
)
