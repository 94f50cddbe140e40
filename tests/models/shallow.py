"""Networks of few blocks: every kind of layer once or twice, in a quarter of the graph."""

from harlib.models import mvit, resnet3d, resnet50, resnext3d, slowfast, x3d

X3D, RESNET50 = (1, 1, 2, 2), (1, 2, 2, 2)


def shorten(monkeypatch):
    """Gives the deep networks these blocks, until the test ends."""
    monkeypatch.setattr(x3d, "BLOCKS", X3D)
    monkeypatch.setattr(resnet50, "BLOCKS", RESNET50)
    monkeypatch.setattr(slowfast, "BLOCKS", RESNET50)
    monkeypatch.setattr(mvit, "BLOCKS", (1, 2, 2, 1))
    for blocks in (resnet3d.BLOCKS, resnext3d.BLOCKS):
        for depth in blocks:
            monkeypatch.setitem(blocks, depth, (1, 2, 1, 1))
