"""Our networks compute what the public ones compute, tensor by tensor."""

from __future__ import annotations

import pytest
import torch
from fixtures import TINY, full_names, normalized, read, tiny_josh3r, tiny_mast3r
from torch import Tensor

from josh_blender.engine.networks.blocks import tables_of
from josh_blender.engine.networks.josh3r import Josh3r, sample_box
from josh_blender.engine.networks.mast3r import Mast3r
from josh_blender.engine.networks.pictures import cropped, network_picture, squeezed


def agree(value: Tensor, expected: Tensor, tolerance: float = 1e-5) -> None:
    """Within the tolerance times max(1, largest expected)."""
    bound = tolerance * max(1.0, float(expected.abs().max()))
    assert value.shape == expected.shape
    assert float((value - expected).abs().max()) <= bound


@pytest.mark.parametrize("case", ["landscape", "portrait", "mixed"])
def test_mast3r(case: str) -> None:
    network, expected = tiny_mast3r(), read("mast3r_tiny_io.safetensors")
    images = [normalized(expected[f"{case}/img{view}_u8"].permute(0, 3, 1, 2)) for view in (1, 2)]
    tokens = [network.encode(image) for image in images]
    levels = network.decode(*tokens)
    assert list(network.sizes.levels) == expected.get("landscape/hooks").tolist()
    for view in (1, 2):
        image, own, level = images[view - 1], tokens[view - 1], levels[view - 1]

        def of(name: str, view: int = view) -> Tensor:
            return expected[f"{case}/{name}_{view}"]

        assert torch.equal(own.positions.int(), expected[f"{case}/pos{view}"])
        patches = network.patch_embed(image)
        agree(patches, of("patch_tokens"))
        tables = tables_of(own.positions, TINY.encoder_width, TINY.encoder_heads)
        for number, block in enumerate(network.enc_blocks):
            patches = block(patches, tables)
            agree(patches, of(f"enc_block{number}_out"))
        agree(own.tokens, of("enc_tokens"))
        agree(network.decoder_embed(own.tokens), of("dec_embed"))
        for number in (1, 6, 9, 12):
            agree(level[number], of(f"dec_list{number}"))
        read_levels = [level[number] for number in TINY.levels]
        head = (network.downstream_head1, network.downstream_head2)[view - 1]
        agree(head.dpt(read_levels, own.rows, own.columns), of("dpt_raw"))
        if case == "landscape":
            joined = torch.cat([level[0], level[-1]], dim=-1)
            agree(head.head_local_features(joined), of("local_mlp_raw"))
        prediction = network.predict(view, level, own)
        agree(prediction.points, of("pts3d"), 5e-5)
        agree(prediction.confidence, of("conf"))
        agree(prediction.descriptor, of("desc"))
        agree(prediction.descriptor_confidence, of("desc_conf"))


def test_the_small_number_in_norms_of_mast3r() -> None:
    network, expected = tiny_mast3r(), read("mast3r_tiny_io.safetensors")
    probe = {key.removeprefix("eps_probe/"): value for key, value in expected.items() if key.startswith("eps_probe/")}
    encoder = tables_of(probe["pos"], TINY.encoder_width, TINY.encoder_heads)
    decoder = tables_of(probe["pos"], TINY.decoder_width, TINY.decoder_heads)
    agree(network.enc_blocks[0](probe["enc_x"], encoder), probe["enc_block0_out"])
    agree(network.enc_norm(probe["enc_x"]), probe["enc_norm_out"])
    agree(network.dec_blocks[0](probe["dec_x"], probe["dec_y"], decoder, decoder), probe["dec_block0_out"])
    agree(network.dec_norm(probe["dec_x"]), probe["dec_norm_out"])


@pytest.mark.parametrize("case", ["landscape_b2", "portrait_b1", "fullframe_b1"])
def test_josh3r(case: str) -> None:
    network, expected = tiny_josh3r(), read("josh3r_tiny_io.safetensors")
    expected = {key.removeprefix(f"{case}/"): value for key, value in expected.items() if key.startswith(f"{case}/")}
    images, boxes = normalized(expected["imgs_u8"]), expected["bbox"]
    tokens = [network.mast3r.encode(images[:, view]) for view in (0, 1)]
    levels = network.mast3r.decode(*tokens)
    blocks = []
    for view, block in ((0, network.decoder_block_1), (1, network.decoder_block_2)):
        own, other = tokens[view], tokens[1 - view]
        features = sample_box(levels[view][-1], own.rows, own.columns, boxes[:, view])
        agree(features, expected[f"roi_feat_{view + 1}"])
        regressor = (network.human_feat_extractor_1, network.human_feat_extractor_2)[view]
        agree(regressor(features), expected[f"human_feat_{view + 1}"])
        inputs = [expected[f"block_in_tokens_{number + 1}"] for number in (view, 1 - view)]
        agree(network._with_person(regressor, levels[view][-1], own, boxes[:, view]), inputs[0])
        position = expected[f"block_in_pos_{view + 1}"]
        tables = network._tables(own)
        assert all(
            torch.equal(a, b)
            for a, b in zip(tables, tables_of(position, TINY.decoder_width, TINY.decoder_heads), strict=True)
        )
        blocks.append(block(*inputs, tables, network._tables(other)))
        agree(blocks[-1], expected[f"block_out_tokens_{view + 1}"])
        normed = network.dec_norm(blocks[-1])
        agree(normed, expected[f"normed_tokens_{view + 1}"])
        agree(normed[:, -1], expected[f"human_token_{view + 1}"])
        agree(normed[:, :-1].amax(dim=1), expected[f"scene_token_{view + 1}"])
    motion, points1, points2 = network(images[:, 0], images[:, 1], boxes)
    agree(motion.relative_translation, expected["rel_trans"])
    agree(motion.relative_rotation, expected["rel_rot"])
    agree(motion.translation_1, expected["trans1"])
    agree(motion.translation_2, expected["trans2"])
    agree(motion.log_scale_1[:, None], expected["log_scale1"])
    agree(motion.log_scale_2[:, None], expected["log_scale2"])
    agree(motion.log_scale_1.exp()[:, None], expected["scale1"])
    agree(motion.log_scale_2.exp()[:, None], expected["scale2"])
    agree(points1.flatten(1, 2), expected["X11"], 5e-5)
    agree(points2.flatten(1, 2), expected["X21"], 5e-5)


def test_the_small_number_in_norms_of_josh3r() -> None:
    network, expected = tiny_josh3r(), read("josh3r_tiny_io.safetensors")
    probe = {key.removeprefix("eps_probe/"): value for key, value in expected.items() if key.startswith("eps_probe/")}
    tables = tables_of(probe["pos"], TINY.decoder_width, TINY.decoder_heads)
    agree(network.decoder_block_1(probe["x"], probe["y"], tables, tables), probe["decoder_block_1_out"])
    agree(network.dec_norm(probe["x"]), probe["dec_norm_out"])


@pytest.mark.parametrize(("name", "maker"), [("mast3r", Mast3r), ("josh3r", Josh3r)])
def test_every_name_and_size_of_the_public_parameters(name: str, maker: type) -> None:
    expected = full_names(f"{name}_full_keys.txt")
    with torch.device("meta"):
        ours = {key: list(value.shape) for key, value in maker().state_dict().items()}
    assert ours == {key: shape for key, shape in expected.items() if not key.startswith("smpl.")}


@pytest.mark.parametrize("case", ["land", "port", "up"])
def test_pictures_as_josh3r_sees_them(case: str) -> None:
    expected = read("josh3r_preprocess.safetensors")
    expected = {key.removeprefix(f"{case}/"): value for key, value in expected.items() if key.startswith(f"{case}/")}
    height, width = expected["image_u8"].shape[:2]
    whole, inner = (squeezed(width, height, half, int(expected["long_edge"])) for half in (False, True))
    assert [whole.size[1], whole.size[0]] == expected["true_shape"].tolist()
    levels = (network_picture(expected["image_u8"], whole) * 0.5 + 0.5) * 255.0
    difference = (levels - expected["tensor01"] * 255.0).abs()
    # One value in ten thousand lies on the edge between two levels.
    assert difference.max() <= 1.001 and (difference > 0.5).float().mean() < 1e-3
    agree(network_picture(expected["image_u8"], inner), expected["cropped_normed"], 2.1 / 255.0)
    # The reference takes a box by the longer side's factor alone; ours follows the squeeze of the other side.
    factor = torch.tensor(whole.size) / (torch.tensor([width, height]) * float(expected["scale_factor"]))
    box = expected["bbox_original"] / factor.repeat(2)
    # Ours end where the picture does, which the reference's do only after the cut.
    scaled = expected["bbox_scaled"].clamp(min=0.0).minimum(torch.tensor(whole.size).repeat(2))
    agree(torch.as_tensor(whole.boxes(box.numpy())), scaled, 1e-4)
    agree(torch.as_tensor(inner.boxes(box.numpy())), expected["bbox_cropped"], 1e-4)


@pytest.mark.parametrize("case", ["landscape", "odd", "portrait", "upscale", "size224_rule"])
def test_pictures_as_mast3r_sees_them(case: str) -> None:
    expected = read("mast3r_preprocess.safetensors")
    image, size = expected[f"{case}/image_u8"], int(expected[f"{case}/size"].flatten()[0])
    fit = cropped(image.shape[1], image.shape[0], size)
    assert [fit.size[1], fit.size[0]] == expected[f"{case}/true_shape"].flatten().tolist()
    levels = (network_picture(image, fit) * 0.5 + 0.5) * 255.0
    difference = (levels.permute(1, 2, 0) - expected[f"{case}/result_u8"].float()).abs()
    assert difference.max() <= 1.001 and (difference > 0.5).float().mean() < 1e-3


def test_the_middle_of_a_square_picture_as_mast3r_sees_it() -> None:
    """At 96 px the public loader leaves 72 rows, which are not whole patches; ours leaves the 64 in their middle."""
    expected = read("mast3r_preprocess.safetensors")
    image = expected["square/image_u8"]
    fit = cropped(image.shape[1], image.shape[0], int(expected["square/size"].flatten()[0]))
    assert fit.size == (96, 64) and expected["square/result_u8"].shape[:2] == (72, 96)
    levels = (network_picture(image, fit) * 0.5 + 0.5) * 255.0
    difference = (levels.permute(1, 2, 0) - expected["square/result_u8"][4:68].float()).abs()
    assert difference.max() <= 1.001 and (difference > 0.5).float().mean() < 1e-3


def test_a_square_picture_becomes_four_by_three() -> None:
    assert cropped(600, 600).size == (512, 384)
