from . import server

__all__ = ["server"]
