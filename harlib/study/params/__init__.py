"""What a run can be asked for: a model per notebook, one line per mistake."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, ["base", "errors", "meanings", "notebooks", "trained", "yaml_text"]
)
