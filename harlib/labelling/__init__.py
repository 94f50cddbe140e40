"""More labelled data: which videos to label next, and a page to label them by one key each.

`looking` computes what a network sees in each video, `guessing` what labels say of the others, and
`ranking` puts videos in order; `table` keeps the labels, `session` asks for them one by one,
`pages` shows it in a browser, and `sitting` is `har label`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
