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
from synthetic_scene import synthetic_body

from josh_blender.engine.body.smpl_files import prepare_body, read_smpl
from josh_blender.scene4d.body import BodyModel, default_body_path, load_body, load_default_body
from josh_blender.scene4d.conventions import CONTACT_REGIONS
from josh_blender.scene4d.errors import UserError


@pytest.fixture(scope="module")
def model() -> BodyModel:
    return synthetic_body()


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


def _chumpy_class(monkeypatch: pytest.MonkeyPatch, module: str, name: str) -> type:
    """A class that pickles as one of chumpy's and does not exist when the file is read."""
    for path in ("chumpy", module):
        monkeypatch.setitem(sys.modules, path, types.ModuleType(path))
    made = type(name, (), {"__module__": module, "__qualname__": name})
    setattr(sys.modules[module], name, made)
    return made


def _chumpy(made: type, **terms: object) -> object:
    """With the book-keeping that every chumpy array carries."""
    array = made()
    array.__dict__.update(terms, _dirty_vars={"x"}, _itr=None, _depends_on_deps={}, _make_dense=False)
    return array


@pytest.fixture(params=[0, 2])
def old_pickle(
    request: pytest.FixtureRequest, model: BodyModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A file like those of SMPL's first release: chumpy arrays, a sparse regressor, Python 2's protocols."""
    ch = _chumpy_class(monkeypatch, "chumpy.ch", "Ch")
    select = _chumpy_class(monkeypatch, "chumpy.reordering", "Select")
    data: dict[str, object] = dict(_arrays(model))
    many = np.concatenate([model.shapedirs, np.ones((len(model.v_template), 3, 5))], axis=2)
    chosen = np.arange(many.size).reshape(many.shape)[:, :, :10]
    data["shapedirs"] = _chumpy(select, a=_chumpy(ch, x=many), idxs=chosen.ravel(), preferred_shape=chosen.shape)
    data["weights"] = _chumpy(ch, x=np.asfortranarray(data["weights"]))
    data["J_regressor"] = scipy.sparse.csc_matrix(data["J_regressor"])
    data["J"] = _chumpy(ch, x=np.zeros((24, 3)))
    data["bs_type"] = "lrotmin"
    data["names"] = np.array(["a", None], dtype=object)
    path = tmp_path / "basicModel_f_lbs_10_207_0_v1.0.0.pkl"
    path.write_bytes(pickle.dumps(data, protocol=request.param))
    monkeypatch.undo()
    return path


def test_old_pickle_is_read_without_chumpy(old_pickle: Path, model: BodyModel) -> None:
    body = read_smpl(old_pickle)
    np.testing.assert_allclose(body.shapedirs, model.shapedirs, atol=1e-7)
    np.testing.assert_allclose(body.J_regressor, model.J_regressor, atol=1e-7)
    np.testing.assert_array_equal(body.weights, model.weights)
    assert body.parents == model.parents
    assert body.posedirs.shape == (len(model.v_template), 3, 207)
    assert body.body_id.startswith("smpl-female-")
    assert "chumpy" not in sys.modules


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_pickles_of_plain_arrays(model: BodyModel, tmp_path: Path, protocol: int) -> None:
    arrays = _arrays(model)
    arrays["v_template"] = arrays["v_template"].astype(">f8")
    path = tmp_path / "SMPL_NEUTRAL.pkl"
    path.write_bytes(pickle.dumps({**arrays, "J_regressor": scipy.sparse.csr_matrix(arrays["J_regressor"])}, protocol))
    body = read_smpl(path)
    np.testing.assert_array_equal(body.v_template, model.v_template)
    np.testing.assert_array_equal(body.f, model.f)
    np.testing.assert_allclose(body.J_regressor, model.J_regressor, atol=1e-7)
    assert body.body_id.startswith("smpl-neutral-")


def test_regions_follow_the_shape_of_the_body(tmp_path: Path) -> None:
    """Another person with other joints, bigger feet and another order of vertices keeps regions and soles."""
    model = load_default_body()
    order = np.random.default_rng(3).permutation(len(model.v_template))
    betas = np.array([-2.0, 1.5, *np.zeros(8)])
    rest = model.rest_vertices(betas) * [1.05, 1.1, 1.2]
    arrays = _arrays(model)
    for name in ("weights", "shapedirs", "posedirs"):
        arrays[name] = arrays[name][order]
    arrays["v_template"] = rest[order]
    arrays["J_regressor"] = np.roll(arrays["J_regressor"], 5, axis=1)[:, order]
    arrays["f"] = np.argsort(order)[model.f]
    path = tmp_path / "SMPL_MALE.npz"
    np.savez(path, **arrays)
    body = read_smpl(path)
    for region, name in enumerate(CONTACT_REGIONS):
        found, true = body.region_of_vertex == region, model.region_of_vertex[order] == region
        assert (found & true).sum() > 0.7 * (found | true).sum(), name
    soles, true_soles = body.v_template[body.foot_vertices], rest[model.foot_vertices]
    np.testing.assert_allclose(soles, true_soles, atol=0.015)


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


def test_memory_that_is_not_there_is_not_described(tmp_path: Path) -> None:
    """numpy's own unpickling would take these bytes for addresses of objects."""
    dtype = np.dtype("O")

    class Described:
        def __reduce__(self) -> tuple:
            state = (1, (2,), dtype, False, b"\x41" * 16)
            return (np._core.multiarray._reconstruct, (np.ndarray, (0,), b"b"), state)

    with pytest.raises(UserError, match="no v_template"):
        read_smpl(_write(tmp_path / "smpl.pkl", {"v_template": Described()}))


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
    np.savez(tmp_path / "flat.npz", **{**arrays, "weights": np.zeros(24)})
    np.savez(tmp_path / "pose.npz", **{**arrays, "posedirs": np.zeros((len(model.v_template), 3, 100))})
    np.savez(tmp_path / "faces.npz", **{**arrays, "f": arrays["f"] + len(model.v_template)})
    (tmp_path / "text.pkl").write_text("hello")
    (tmp_path / "cut.pkl").write_bytes(pickle.dumps(arrays, protocol=2)[:5000])
    _write(tmp_path / "list.pkl", [1, 2])
    for name, words in {
        "smplx.npz": "55 joints",
        "motion.npz": "no v_template",
        "mixed.npz": "do not fit",
        "flat.npz": "do not fit",
        "pose.npz": "do not fit",
        "faces.npz": "do not fit",
        "text.pkl": "damaged",
        "cut.pkl": "damaged",
        "list.pkl": "damaged",
        "absent.npz": "no file",
    }.items():
        with pytest.raises(UserError, match=words) as caught:
            read_smpl(tmp_path / name)
        assert caught.value.remedy
