from . import catalog, commands, demo, label_sets, loading, store, video
from .catalog.catalog import COLUMNS, SPLITS, Catalog
from .catalog.folder import CatalogError, look
from .catalog.own_videos import groups_warning, unknown_groups
from .loading.augment import CROPS, MIXES
from .loading.batches import evaluation_batches, training_batches
from .loading.prefetch import ReadError, iterate
from .loading.specs import Augmentation, ClipSpec, Protocol
from .store.audit import Audit
from .store.category_file import StoreError
from .store.clip_store import ClipStore
from .store.codecs import CODECS
from .store.pack import PrepareError, Settings
from .store.prepare import prepare
from .store.repair import repair
from .store.verify import verify
from .video.container import VideoError
from .video.files import decode, encode, probe
from .video.reader import VideoReader

__all__ = [
    "CODECS",
    "COLUMNS",
    "CROPS",
    "MIXES",
    "SPLITS",
    "Audit",
    "Augmentation",
    "Catalog",
    "CatalogError",
    "ClipSpec",
    "ClipStore",
    "PrepareError",
    "Protocol",
    "ReadError",
    "Settings",
    "StoreError",
    "VideoError",
    "VideoReader",
    "catalog",
    "commands",
    "decode",
    "demo",
    "encode",
    "evaluation_batches",
    "groups_warning",
    "iterate",
    "label_sets",
    "loading",
    "look",
    "prepare",
    "probe",
    "repair",
    "store",
    "training_batches",
    "unknown_groups",
    "verify",
    "video",
]
