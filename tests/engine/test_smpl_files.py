"""Users' SMPL files: npz and old pickles give the same body; anything else is refused and nothing in it runs."""

from __future__ import annotations

import os
import pickle
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse

from josh_blender.engine.body.smpl_files import prepare_body, read_smpl
from josh_blender.scene4d.body import BodyModel, default_body_path, load_body, load_default_body
from josh_blender.scene4d.conventions import CONTACT_REGIONS
from josh_blender.scene4d.errors import UserError


@pytest.fixture(scope="module")
def model() -> BodyModel:
    return load_default_body()


def _arrays(model: BodyModel) -> dict[str, np.ndarray]:
    kintree = model.kintree_table.astype(np.uint32)
    kintree[0, 0] = 2**32 - 1
    return {
        "v_template": model.v_template.astype(np.float64),
        "shapedirs": model.shapedirs.astype(np.float64),
        "posedirs": np.zeros((len(model.v_template), 3, 207)),
        "J_regressor": model.J_regressor.astype(np.float64),
        "weights": model.weights.astype(np.float64),
        "kintree_table": kintree,
        "f": model.f.astype(np.uint32),
    }


class _ChumpyLike:
    """Pickles as ``chumpy.ch.Ch``, a class that does not exist when the file is read."""

    def __init__(self, x: np.ndarray) -> None:
        self.x = x


@pytest.fixture
def old_pickle(model: BodyModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file like that of SMPL's first release: chumpy arrays, a sparse regressor, Python 2's protocol."""
    package, module = types.ModuleType("chumpy"), types.ModuleType("chumpy.ch")
    ch_class = type("Ch", (_ChumpyLike,), {"__module__": "chumpy.ch", "__qualname__": "Ch"})
    module.Ch = ch_class  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "chumpy", package)
    monkeypatch.setitem(sys.modules, "chumpy.ch", module)
    data: dict[str, object] = dict(_arrays(model))
    data["shapedirs"] = ch_class(data["shapedirs"])
    data["J_regressor"] = scipy.sparse.csc_matrix(data["J_regressor"])
    data["J"] = ch_class(np.zeros((24, 3)))
    data["bs_type"] = "lrotmin"
    path = tmp_path / "basicModel_f_lbs_10_207_0_v1.0.0.pkl"
    path.write_bytes(pickle.dumps(data, protocol=2))
    return path


def test_old_pickle_is_read_without_chumpy(old_pickle: Path, model: BodyModel) -> None:
    sys.modules.pop("chumpy"), sys.modules.pop("chumpy.ch")
    body = read_smpl(old_pickle)
    np.testing.assert_allclose(body.shapedirs, model.shapedirs, atol=1e-7)
    np.testing.assert_allclose(body.J_regressor, model.J_regressor, atol=1e-7)
    assert body.parents == model.parents
    assert body.posedirs.shape == (len(model.v_template), 3, 207)
    assert body.body_id.startswith("smpl-female-")
    assert "chumpy" not in sys.modules


def test_regions_follow_the_shape_of_the_body(old_pickle: Path, model: BodyModel) -> None:
    body = read_smpl(old_pickle)
    np.testing.assert_array_equal(body.foot_vertices, model.foot_vertices)
    for region in range(len(CONTACT_REGIONS)):
        same = (body.region_of_vertex == region) == (model.region_of_vertex == region)
        assert same.mean() > 0.99, CONTACT_REGIONS[region]


def test_npz_gives_the_same_and_is_converted_once(
    model: BodyModel, old_pickle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOSH4D_BODIES", str(tmp_path / "bodies"))
    path = tmp_path / "SMPL_MALE.npz"
    np.savez(path, **_arrays(model))
    np.testing.assert_array_equal(read_smpl(path).v_template, read_smpl(old_pickle).v_template)
    target = prepare_body(path)
    written = target.stat().st_mtime_ns
    assert prepare_body(path) == target
    assert target.stat().st_mtime_ns == written
    assert load_body(target).body_id.startswith("smpl-male-")
    assert prepare_body(default_body_path()) == default_body_path()


class _Bomb:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple:
        return (os.system, (f"touch {self.marker}",))


def _write(path: Path, value: object) -> Path:
    path.write_bytes(pickle.dumps(value, protocol=2))
    return path


def test_malicious_pickle_is_refused_and_nothing_runs(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    path = _write(tmp_path / "smpl.pkl", {"v_template": _Bomb(marker)})
    with pytest.raises(UserError, match="not an SMPL body"):
        read_smpl(path)
    assert not marker.exists()


def test_a_giant_array_takes_no_memory(tmp_path: Path) -> None:
    class Giant:
        def __reduce__(self) -> tuple:
            return (np._core.multiarray._reconstruct, (np.ndarray, (10**13,), b"b"))

    with pytest.raises(UserError, match="not an SMPL body"):
        read_smpl(_write(tmp_path / "smpl.pkl", {"v_template": Giant()}))


def test_files_that_are_something_else(model: BodyModel, tmp_path: Path) -> None:
    arrays = _arrays(model)
    smplx_like = {**arrays, "weights": np.zeros((len(model.v_template), 55))}
    np.savez(tmp_path / "smplx.npz", **smplx_like)
    np.savez(tmp_path / "motion.npz", poses=np.zeros((3, 72)))
    np.savez(tmp_path / "mixed.npz", **{**arrays, "J_regressor": np.zeros((24, 7))})
    (tmp_path / "text.pkl").write_text("hello")
    (tmp_path / "cut.pkl").write_bytes(pickle.dumps(arrays, protocol=2)[:5000])
    _write(tmp_path / "list.pkl", [1, 2])
    for name, words in {
        "smplx.npz": "55 joints",
        "motion.npz": "no v_template",
        "mixed.npz": "do not fit",
        "text.pkl": "damaged",
        "cut.pkl": "damaged",
        "list.pkl": "no arrays",
        "absent.npz": "no file",
    }.items():
        with pytest.raises(UserError, match=words) as caught:
            read_smpl(tmp_path / name)
        assert caught.value.remedy
