from . import server
from .network import serve_network, serve_predictor

__all__ = ["serve_network", "serve_predictor", "server"]
