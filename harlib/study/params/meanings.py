"""What each parameter means, in a line, under the headings of the notebooks' parameter cells."""

from harlib.study.params.notebooks import NOTEBOOKS

_MEANINGS = {
    "The run": {
        "study": "folder below data/, runs/ and reports/",
        "run": "this run's folder in runs/<study>/",
        "seed": "of everything random",
        "data_root": "folder with one's own videos; the drawn ones need none",
        "store": "clip store; empty: data/<study>/store",
        "threads": "reading threads",
        "workers": "processes; None: one a core",
        "devices": "of this machine, which share each batch",
        "precision": "bfloat16 where the hardware computes it, else float32",
        "preflight": "checks before training: stop at one that fails, show them, or off",
        "checkpoint_minutes": "from one checkpoint of the training to the next",
        "checkpoint_steps": "and after this number of steps; 0: by the minutes alone",
        "checkpoints_kept": "the newest ones stay",
        "tensorboard": "logs for TensorBoard in the run's folder",
    },
    "The videos": {
        "source": "demo (drawn here), folder, table, kinetics or ucf101",
        "videos": "folder of the videos inside data_root; table: the file of the table",
        "frame_fps": "of folders of numbered images; None: as fps.txt in each says, or 25",
        "background": "table: unlabelled time, so many times the largest category; 0: none",
        "lists": "ucf101: folder of its lists inside data_root",
        "lists_split": "ucf101: which of its three splits",
        "annotations": "kinetics: CSV files inside data_root",
        "categories": "empty: all",
        "corrections": "table of wrong labels and what is right, from the project's folder",
    },
    "The split": {
        "group": "regular expression, its (…) in a file's name is the group; empty: from the names",
        "held_out": "the groups (actors) that are val; empty: by val_share",
        "val_share": "share of the groups that is held out as val",
    },
    "The drawn videos": {
        "train_videos": "demo: training videos per category",
        "val_videos": "demo: val videos per category",
        "still_images": "demo: still images per action",
        "untrimmed": "demo: so many videos of two minutes and all actions, as many test as val",
        "difficulty": "demo: 2 and 3 add clutter, shake and occlusion",
        "people": "demo: 2 for up to two in a video, which has the labels of both",
    },
    "The store": {
        "codec": "raw, jpeg or h264",
        "store_size": "short side in pixels, or [height, width]",
        "fps": "frames per second in the store; None: as recorded",
        "quality": "JPEG quality",
        "samples": "videos in the contact sheet",
    },
    "The network": {
        "model": "c3d, or c3d_bn with batch normalisation",
        "models": "networks to measure here",
        "backbone": "small (for a CPU), any of keras.applications, or a .keras file of one's own",
        "width": "factor on all filters; 1.0 is the published network",
        "dense": "units of the two dense layers; 4096 published",
        "cardinality": "groups of the 3D convolutions; 32 published",
        "dropout": "before the classifier",
        "weights": "published ones by name (har weights list), a file, a run's folder; empty: none",
        "pixels": "rgb, or residual: what changes from frame to frame",
        "freeze_below": "stage or layer below which nothing is trained; empty: all is",
        "freeze_bn": "keep every batch norm as it is",
    },
    "The clips": {
        "frames": "frames of a clip",
        "stride": "stored frames from one to the next",
        "clip_fps": "frames per second of a clip, whatever the store has; None: by the stride",
        "size": "pixels per side of what the network sees",
        "crop": "hara, resized, random or center",
        "flip": "mirror half of the training clips",
        "color": "strength of random colour changes, 0 to 1",
        "grey": "share of training clips without colours",
        "reverse": "share of training clips that run backwards",
        "jitter": "actions run up to 1 + jitter times as fast or slow",
    },
    "The training": {
        "stills": "folder per category, or Stanford-40's layout; empty: no stills stage",
        "stills_epochs": "epochs on stills",
        "epochs": "times each training video is shown",
        "batch": "clips per step",
        "recipe": "modern, study-adam, study-sgd, hara-sgd, tran-sgd, finetune-head or -gradual",
        "recipe_options": "other numbers for the recipe, such as its lr",
        "rate": "learning rate of the first step; it falls to 0 along a cosine",
        "mix": "blend clips and their labels: mixup, cutmix, none; empty: as the recipe says",
        "mix_share": "share of the batches that are blended, where there is blending",
        "class_weights": "balanced: rare categories weigh more in the loss; or empty",
        "balanced": "show every category equally often",
        "shuffle_labels": "a check: with wrong labels the result must be chance",
        "train_split": "learned from",
        "validate_split": "one clip per video scored after each epoch; empty: none",
        "patience": "training ends after so many epochs without a better validation; 0: never",
        "lr_multipliers": 'of the learning rate by stage, as {"stage1": 0.1}',
        "seeds": "one training a seed and a variant",
        "variants": "by name, the parameters that each changes; the first is the measure",
    },
    "The scoring": {
        "split": "scored at the end",
        "clips": "clips per video when scoring",
        "crops": "crops per clip when scoring",
        "crop_scale": "share of the short side that a scoring crop covers; None: all of it",
        "checkpoint": "weights to score: last or best",
        "score_batch": "clips in a batch; on a CPU two batches are scored at once",
    },
    "The comparison": {
        "runs": "which runs; empty: every scored run of the study",
        "confused": "confused categories to list",
        "layer": "whose maps show where the network looked; empty: the last with 5 x 5 places",
    },
    "The measurement": {
        "results": "JSON files of har bench data, train and batch, from the project's folder",
        "most": "largest batch tried here",
        "seconds": "of one measurement of reading here",
    },
}  # fmt: skip

# What a name means in one notebook alone.
_HERE = {
    "02_frame_cnn": {
        "model": "the only one of this notebook",
        "width": "factor on the small backbone's filters",
        "weights": 'None, "imagenet", or a weights file of the backbone',
    },
    "03_c3d": {"dropout": "after each of the dense layers"},
    "04_resnext101": {"model": "resnext3d_26, resnext3d_50 or resnext3d_101"},
    "07_ablations": {"dropout": "after each of the dense layers"},
    "09_pretrained": {
        "model": "any network of har models",
        "recipe": "probe, finetune-head, finetune-gradual, modern or another of notebook 02",
        "epochs": "times each training video is shown; 0: the network is scored as it is",
    },
    "08_from_scratch": {"study": "folder below data/ and runs/, whose store and run 03 are used"},
}


def of(notebook: str) -> dict[str, tuple[str, str]]:
    """Each parameter of a notebook: its heading and its meaning, in the order of a cell."""
    names = NOTEBOOKS[notebook].params.model_fields
    here = _HERE.get(notebook, {})
    return {
        name: (heading, here.get(name, said))
        for heading, every in _MEANINGS.items()
        for name, said in every.items()
        if name in names
    }
