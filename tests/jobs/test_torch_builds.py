"""Without PyTorch's index, pip is not told to try it."""

from __future__ import annotations

import http.server
import importlib.util
import threading
from pathlib import Path

import pytest

from josh_blender.jobs import torch_builds


def test_index_is_used_only_where_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)

    class Index(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/cpu/torch/" else 404)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Index) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr(torch_builds, "WHEEL_INDEX", {"cpu": f"{address}/cpu", "gone": f"{address}/gone"})
        assert torch_builds.pip_options("cpu") == ["--extra-index-url", f"{address}/cpu"]
        assert torch_builds.pip_options("gone") == []
        server.shutdown()
    assert torch_builds.pip_options("cpu", timeout=1.0) == []


def test_make_takes_table_and_versions_from_here() -> None:
    """The tool runs before anything of the project is installed, with any Python: by their files."""
    path = Path(__file__).resolve().parents[2] / "tools" / "set_up.py"
    spec = importlib.util.spec_from_file_location("josh4d_tool_set_up", path)
    assert spec is not None and spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert tool.torch_builds().WHEEL_INDEX == torch_builds.WHEEL_INDEX
    pinned = tool.pinned()
    assert len(pinned) == len({name.split("==")[0] for name in pinned})
    assert any(name.startswith("torch==") for name in pinned)
