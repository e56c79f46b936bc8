"""A distance on given features is the formula, with gradients, in bounded memory; LPIPS where its parts are there."""

import copy
import hashlib

import numpy as np
import pytest
import torch
from torch import nn

from workbench.errors import InputError, ModelError
from workbench.metrics import perceptual
from workbench.metrics.distortion import measure
from workbench.metrics.perceptual import FeatureDistance, SqueezeNet, load_lpips, load_squeezenet

GENERATOR = torch.Generator().manual_seed(0)


class Small(nn.Module):
    """Two layers of features, with dropout that would show if it were left on."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(1)
            self.first, self.second = nn.Conv2d(3, 5, 3, padding=1), nn.Conv2d(5, 4, 3, stride=2)
        self.drop = nn.Dropout(0.5)

    def features(self, images):
        one = self.drop(torch.relu(self.first(images)))
        return [one, torch.relu(self.second(one))]


def pair(size=(20, 24), batch=2):
    x = torch.rand(batch, 3, *size, generator=GENERATOR)
    return x, (x + 0.2 * torch.rand(x.shape, generator=GENERATOR)).clamp(0, 1)


def picture(size, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


class TestFeatureDistance:
    def test_it_is_the_formula(self):
        network = Small()
        weights = [torch.tensor([1.0, 2, 3, 0, 5]), torch.tensor([0.5, 1, 0, 2])]
        x, y = pair()
        for given in (None, weights):
            distance = FeatureDistance(network, "small", weights=given, least_side=3)
            expected = torch.zeros(2)
            for number, (a, b) in enumerate(zip(network.features(x), network.features(y), strict=True)):
                w = given[number] if given else torch.full((a.shape[1],), 0.5)
                for i in range(2):
                    for row in range(a.shape[2]):
                        for column in range(a.shape[3]):
                            u, v = a[i, :, row, column], b[i, :, row, column]
                            u, v = u / u.norm().clamp(min=1e-10), v / v.norm().clamp(min=1e-10)
                            expected[i] += (w * (u - v) ** 2).sum() / (a.shape[2] * a.shape[3])
            assert torch.allclose(distance(x, y), expected, atol=1e-6)

    def test_zero_for_equal_symmetric_and_growing(self):
        distance = FeatureDistance(Small(), "small", least_side=3)
        x, y = pair()
        assert distance(x, x).tolist() == [0, 0]
        assert torch.allclose(distance(x, y), distance(y, x))
        near = x + 0.1 * (y - x)
        assert (distance(x, near) < distance(x, y)).all()

    def test_gradients_reach_the_picture_and_not_the_network(self):
        network = Small()
        distance = FeatureDistance(network, "small", least_side=3)
        x, y = pair()
        y[:, :, :9] = 0  # where features vanish the gradient must still be finite
        y.requires_grad_()
        distance(x, y).sum().backward()
        assert torch.isfinite(y.grad).all()
        assert y.grad.abs().sum() > 0
        assert all(p.grad is None and not p.requires_grad for p in network.parameters())

    def test_it_stays_in_evaluation_mode(self):
        distance = FeatureDistance(Small(), "small", least_side=3).train()
        assert not any(module.training for module in distance.modules())
        x, y = pair()
        assert torch.equal(distance(x, y), distance(x, y))

    def test_whole_pictures_equal_tensors(self):
        distance = FeatureDistance(Small(), "small", least_side=3)
        x, y = picture((17, 30)), picture((17, 30), 1)
        tensors = [torch.from_numpy(p).permute(2, 0, 1)[None].float() / 255 for p in (x, y)]
        assert distance.between(x, y[:]) == pytest.approx(float(distance(*tensors)), rel=1e-6)
        assert distance.between(x, x[::1]) == 0
        assert distance.between(x[::-1], y[::-1]) >= 0  # any strides

    def test_large_pictures_are_the_mean_of_their_tiles(self, monkeypatch):
        monkeypatch.setattr(perceptual, "_TILE", 16)
        distance = FeatureDistance(Small(), "small", least_side=3)
        seen = []
        features = distance.network.features
        distance.network.features = lambda images: seen.append(max(images.shape[2:])) or features(images)
        x, y = picture((33, 40)), picture((33, 40), 1)
        total = distance.between(x, y)
        assert max(seen) <= 16
        expected = 0.0
        for top, bottom in ((0, 11), (11, 22), (22, 33)):
            for left, right in ((0, 13), (13, 27), (27, 40)):
                part = distance.between(x[top:bottom, left:right], y[top:bottom, left:right])
                expected += part * (bottom - top) * (right - left) / (33 * 40)
        assert total == pytest.approx(expected)

    def test_a_picture_that_others_are_compared_with_is_seen_once(self, monkeypatch):
        monkeypatch.setattr(perceptual, "_TILE", 16)
        distance = FeatureDistance(Small(), "small", least_side=3)
        x, *others = (picture((17, 30), seed) for seed in range(4))
        expected = [distance.between(x, y) for y in others]
        seen = []
        features = distance.network.features
        distance.network.features = lambda images: seen.append(1) or features(images)
        against = distance.against(x)
        assert len(seen) == 4  # tiles
        assert [against(y) for y in others] == expected
        assert len(seen) == 4 + 3 * 4
        with pytest.raises(InputError, match="of one size"):
            against(x[1:])

    def test_wrong_pictures_are_refused(self):
        distance = FeatureDistance(Small(), "small", least_side=8)
        x, _ = pair()
        for bad in (x[:, :2], x[0], x[:, :, :9]):
            with pytest.raises(InputError, match="of one shape"):
                distance(x, bad)
        with pytest.raises(InputError, match="small needs at least 8 pixels a side, got 24×7"):
            distance(x[:, :, :7], x[:, :, :7])
        for bad in (picture((9, 9)) / 255, picture((9, 8)), picture((9, 9))[:, :, 0]):
            with pytest.raises(InputError, match="uint8 pictures of one size"):
                distance.between(picture((9, 9)), bad)

    def test_weights_must_fit_the_layers(self):
        distance = FeatureDistance(Small(), "small", weights=[torch.ones(5)], least_side=3)
        with pytest.raises(ModelError, match="weights for 1 layers, the network gives 2"):
            distance(*pair())

    def test_it_is_one_of_the_measures(self):
        distance = FeatureDistance(Small(), "small", least_side=12)
        values, _ = measure(picture((16, 16)), picture((16, 16), 1), others={distance.name: distance.between})
        assert values["small"] > 0
        values, reasons = measure(picture((9, 9)), picture((9, 9), 1), others={distance.name: distance.between})
        assert values["small"] is None
        assert "at least 12" in reasons["small"]


class TestSqueezeNet:
    def test_maps_and_scores_are_those_of_torchvision(self):
        from torchvision.models import squeezenet1_1

        with torch.random.fork_rng():
            torch.manual_seed(0)
            body = squeezenet1_1(weights=None).eval()
        network = SqueezeNet(body).eval()
        images = torch.rand(2, 3, 64, 64, generator=GENERATOR)
        with torch.no_grad():
            assert torch.allclose(network(images), body(images), atol=1e-5)
            maps = network.features(images)
            assert torch.allclose(maps[-1], body.features(images), atol=1e-5)
            assert torch.allclose(network.embed(images), body.features(images).mean((2, 3)), atol=1e-5)
        assert [m.shape[1] for m in maps] == [64, 128, 256, 384, 384, 512, 512]
        assert all((m >= 0).all() for m in maps)

    def test_shared_weights_see_what_a_person_sees(self, shared):
        from workbench.images.files import read_image
        from workbench.images.sources import open_source

        network = load_squeezenet(shared / "weights" / "squeezenet1_1_caffe.safetensors")
        distance = FeatureDistance(network, "squeeze-distance")
        photo = read_image(shared / "data" / "kodak" / "kodim20.png")[100:356, 200:456]
        noise = np.random.default_rng(0).normal(0, 1, photo.shape)
        grades = [distance.between(photo, np.clip(photo + s * noise, 0, 255).astype(np.uint8)) for s in (4, 12, 40)]
        assert 0 < grades[0] < grades[1] < grades[2]
        source = open_source(shared / "data" / "imagenette128-dev-000.tar")
        wanted = {0: 0, 6: 569, 9: 701}  # tench, garbage truck, parachute in ImageNet's numbering
        picks = [i for i in range(len(source)) if int(source.labels[i]) in wanted][:9]
        images = torch.stack([torch.from_numpy(source[i].image).permute(2, 0, 1) for i in picks]).float() / 255
        images = nn.functional.interpolate(images, 224, mode="bicubic", antialias=True).clamp(0, 1)
        guesses = network(images).argmax(dim=1).tolist()
        assert np.mean([guess == wanted[int(source.labels[i])] for guess, i in zip(guesses, picks, strict=True)]) >= 0.5

    def test_other_files_are_refused(self, tmp_path):
        from safetensors.torch import save_file

        save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
        (tmp_path / "junk.safetensors").write_bytes(b"junk" * 10)
        for name, words in (("other", "not the weights"), ("junk", "cannot be read"), ("none", "cannot be read")):
            with pytest.raises(ModelError, match=words):
                load_squeezenet(tmp_path / f"{name}.safetensors")


class TestLPIPS:
    @pytest.mark.filterwarnings("ignore")  # lpips builds its backbones by arguments that torchvision deprecates
    @pytest.mark.parametrize(("net", "builder"), [("alex", "alexnet"), ("squeeze", "squeezenet1_1")])
    def test_it_equals_the_package_on_any_backbone(self, net, builder, tmp_path, monkeypatch):
        lpips = pytest.importorskip("lpips")
        import torchvision
        from safetensors.torch import save_file

        def headless(**_):  # without the classifier, which holds nearly all of AlexNet's weights and is not used
            model = nn.Module()
            model.features = copy.deepcopy(untrained)
            return model

        with torch.random.fork_rng():
            torch.manual_seed(2)
            untrained = getattr(torchvision.models, builder)(weights=None).features.eval()
            monkeypatch.setattr(torchvision.models, builder, headless)
            body = headless()
            for weight in body.parameters():
                nn.init.normal_(weight, std=0.05)
        save_file(body.state_dict(), tmp_path / "body.safetensors")
        ours = load_lpips(net, backbone=tmp_path / "body.safetensors")
        theirs = lpips.LPIPS(net=net, pnet_rand=True, verbose=False)
        for slice_ in (getattr(theirs.net, f"slice{i + 1}") for i in range(theirs.net.N_slices)):
            for name, layer in slice_.named_children():
                layer.load_state_dict(body.features[int(name)].state_dict())
        x, y = pair((64, 72))
        with torch.no_grad():
            expected = theirs(x, y, normalize=True).flatten()
        assert torch.allclose(ours(x, y), expected, rtol=1e-3, atol=1e-6)
        assert ours.name == f"lpips-{net}"

    def test_what_is_missing_is_named(self, tmp_path, monkeypatch):
        pytest.importorskip("lpips")
        with pytest.raises(ModelError, match=r"alexnet-owt-7be5be79.pth, which is not at .*download"):
            load_lpips(backbone=tmp_path / "none.pth")
        monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
        with pytest.raises(ModelError, match=str(tmp_path)):
            load_lpips()
        with pytest.raises(InputError, match="did you mean 'alex'"):
            load_lpips("alexx")
        monkeypatch.setattr(perceptual, "find_spec", lambda _: None)
        with pytest.raises(ModelError, match="pip install lpips"):
            load_lpips()

    def test_a_file_with_another_hash_is_never_unpickled(self, tmp_path, monkeypatch):
        pytest.importorskip("lpips")
        path = tmp_path / "alexnet-owt-7be5be79.pth"
        path.write_bytes(b"a pickle that would do harm")
        monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("it was unpickled"))
        with pytest.raises(ModelError, match=hashlib.sha256(path.read_bytes()).hexdigest()[:8]):
            load_lpips(backbone=path)

    def test_a_file_with_the_published_hash_is_read(self, tmp_path, monkeypatch):
        pytest.importorskip("lpips")
        import torchvision

        path = tmp_path / "body.pth"
        torch.save(torchvision.models.squeezenet1_1(weights=None).state_dict(), path)
        published = f"squeezenet1_1-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}.pth"
        builder, taps, _ = perceptual._LPIPS_BACKBONES["squeeze"]
        monkeypatch.setitem(perceptual._LPIPS_BACKBONES, "squeeze", (builder, taps, published))
        x, y = pair((40, 40))
        assert (load_lpips("squeeze", backbone=path)(x, y) > 0).all()

    def test_another_backbone_is_refused(self, tmp_path):
        pytest.importorskip("lpips")
        from safetensors.torch import save_file

        save_file({"x": torch.zeros(1)}, tmp_path / "body.safetensors")
        with pytest.raises(ModelError, match="not the weights"):
            load_lpips("squeeze", backbone=tmp_path / "body.safetensors")
        (tmp_path / "body.safetensors").write_bytes(b"junk" * 10)
        with pytest.raises(ModelError, match="cannot be read"):
            load_lpips(backbone=tmp_path / "body.safetensors")
