"""What a person in JupyterLab sees while a cell works; nothing of it under papermill."""

import json
import os
import sys
import time
from types import SimpleNamespace

import pytest
from IPython.core.interactiveshell import InteractiveShell
from jupyter_client.manager import start_new_kernel
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from harlib import shipped
from harlib.study.widgets import live

pytestmark = pytest.mark.quick
TRAINING = {"stage": "training", "done": 130, "total": 1170, "seconds_left": 190.2,
            "epoch": 3, "epochs": 26, "loss": 1.2041}  # fmt: skip


def test_only_a_document_of_jupyter_has_a_person(monkeypatch):
    import IPython

    monkeypatch.setattr(IPython, "get_ipython", lambda: SimpleNamespace(kernel=1))
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    assert not live.in_jupyter()
    monkeypatch.setenv("JPY_SESSION_NAME", "/home/me/03_c3d.ipynb")
    assert live.in_jupyter()
    monkeypatch.setattr(IPython, "get_ipython", lambda: None)
    assert not live.in_jupyter()


def test_the_line_comes_with_the_first_news_and_goes_with_the_cell(tmp_path, monkeypatch):
    shown, updates = [], []

    def display(content, raw, display_id):
        shown.append(content["text/plain"])
        return SimpleNamespace(update=lambda content, raw: updates.append(content))

    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=display))
    line, file = live.ProgressLine(), tmp_path / "progress.json"
    line.run_dir = tmp_path
    file.write_text(json.dumps(TRAINING))
    os.utime(file, (1, 1))  # left by an earlier session: no news
    line.begin()
    time.sleep(1.2)
    assert not shown
    file.write_text(json.dumps(TRAINING))
    time.sleep(1.2)
    file.write_text(json.dumps(TRAINING | {"done": 131}))
    time.sleep(1.2)
    line.end()
    assert shown == ["epoch 3/26, loss 1.204, 3:10 min left"]
    assert '<progress value="131" max="1170">' in updates[0]["text/html"]
    assert updates[-1] == {"text/plain": ""}, "the notebook would keep a line"
    line.end()


def test_nothing_is_shown_without_a_person(monkeypatch, tmp_path):
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    monkeypatch.setattr(
        "IPython.get_ipython", lambda: pytest.fail("the kernel of papermill is not asked")
    )
    live.attend(tmp_path)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (KeyboardInterrupt(), "stopped: run this cell again to resume"),
        (KeyboardInterrupt("stopped at step 12; run again to resume there"),
         "stopped at step 12: run this cell again to resume"),
    ],
)  # fmt: skip
def test_an_interrupt_is_one_line(error, line, monkeypatch):
    shell, shown = InteractiveShell(), []
    monkeypatch.setattr(shell, "_showtraceback", lambda kind, error, lines: shown.append(lines))
    shell.set_custom_exc((KeyboardInterrupt,), live.interrupted)
    shell.user_ns["error"] = error
    result = shell.run_cell("raise error")
    assert result.error_in_exec is error
    assert shown == [[line]]


def test_what_libraries_log_below_python_is_not_in_the_lesson(tmp_path, monkeypatch):
    """A kernel as JupyterLab starts it; its own stderr goes to a file in place of a terminal."""
    monkeypatch.delenv("PYTEST_CURRENT_TEST")  # with it ipykernel does not read its own stderr
    source = (
        "import harlib, os, sys\n"
        "os.write(2, b'I0000 00:00:17 cudart_stub.cc:31] Could not find cuda drivers\\n')\n"
        "print('a warning of Python', file=sys.stderr)"
    )
    notebook = new_notebook(cells=[new_code_cell(source)])
    client = NotebookClient(notebook, kernel_name="python3", timeout=60)
    with (
        (tmp_path / "terminal").open("wb") as terminal,
        client.setup_kernel(cwd=str(shipped.FOLDER), stderr=terminal),
    ):
        client.execute_cell(notebook.cells[0], 0)
    assert [output.text for output in notebook.cells[0].outputs] == ["a warning of Python\n"]
    assert b"Could not find cuda drivers" in (tmp_path / "terminal").read_bytes()


def test_a_kernel_ends_when_asked(monkeypatch):
    """absl, which TensorFlow logs by, closes the kernel's streams: no thread of theirs may wait."""
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    manager, client = start_new_kernel(startup_timeout=60)
    process = manager.provisioner.process
    try:
        reply = client.execute_interactive("import harlib, absl.logging", timeout=60)
        assert reply["content"]["status"] == "ok"
        client.shutdown()
        assert process.wait(20) == 0
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
