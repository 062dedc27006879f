"""Encoders, heads, the momentum encoder, the queue, flat parameters, inputs."""

import copy

import pytest
import torch
from torch import nn

from manylabel import ManyLabelError, losses
from manylabel.models import (
    MLP,
    Dropout,
    FlatParameters,
    LabelQueue,
    MomentumEncoder,
    NumericMLP,
    ProjectionHead,
    ResidualMLP,
    ResNet,
    SmallResNet,
)
from manylabel.models.inputs import by_columns


def n_parameters(module):
    return sum(p.numel() for p in module.parameters())


class TestEncoders:
    def test_the_residual_network_is_its_equation(self):
        torch.manual_seed(0)
        encoder = ResidualMLP(7, (5, 11, 3), dropout=0.5).eval()
        for norm in [block[0] for block in encoder.blocks] + [encoder.last]:
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
        x = torch.randn(4, 7)

        def normalised(h, norm):
            return (h - norm.running_mean) / (norm.running_var + norm.eps).sqrt() * norm.weight + norm.bias

        h = x @ encoder.first.weight.T + encoder.first.bias
        for norm, inside, _, _, back in encoder.blocks:
            hidden = (normalised(h, norm) @ inside.weight.T + inside.bias).clamp_min(0)
            h = h + hidden @ back.weight.T + back.bias
        torch.testing.assert_close(encoder(x), normalised(h, encoder.last).clamp_min(0))
        assert encoder.out_features == encoder(x).shape[1] == 5
        assert not torch.equal(encoder.train()(x), encoder(x))

    def test_embedded_numbers_are_their_equation(self):
        torch.manual_seed(0)
        encoder = NumericMLP(3, widths=(5,), sigma=2.0, n_frequencies=4, dim=6).eval()
        assert encoder.frequencies.std() > 1  # sigma is that of the frequencies
        x = torch.randn(2, 3)
        inputs = []
        for row in x:
            for value, frequencies in zip(row, encoder.frequencies, strict=True):
                angles = 2 * torch.pi * frequencies * value
                waves = torch.cat((torch.sin(angles), torch.cos(angles)))
                inputs.append((encoder.embed.weight @ waves + encoder.embed.bias).clamp_min(0))
        torch.testing.assert_close(encoder(x), encoder.mlp(torch.cat(inputs).view(2, 18)))
        assert encoder.out_features == encoder(x).shape[1] == 5

    def test_the_vector_encoder_and_head_have_the_published_size(self):
        encoder = MLP(103)
        assert n_parameters(encoder) + n_parameters(ProjectionHead(encoder.out_features)) == 421_632
        assert encoder(torch.randn(5, 103)).shape == (5, 256)

    def test_the_head_halves_wide_representations(self):
        widths = [layer.out_features for layer in ProjectionHead(2048) if isinstance(layer, nn.Linear)]
        assert widths == [1024, 256]
        widths = [
            layer.out_features for layer in ProjectionHead(256, n_hidden=2) if isinstance(layer, nn.Linear)
        ]
        assert widths == [256, 256, 256]

    def test_resnet50_has_the_parameters_of_resnet50_without_its_last_layer(self):
        network = ResNet(50).eval()
        assert n_parameters(network) == 25_557_032 - (2048 * 1000 + 1000)
        with torch.no_grad():
            assert network(torch.randn(1, 3, 64, 64)).shape == (1, 2048)

    def test_resnet50_strides_on_the_3_by_3_convolution(self):
        strided = [m for m in ResNet(50).modules() if isinstance(m, nn.Conv2d) and m.stride == (2, 2)]
        assert [m.kernel_size for m in strided if m.kernel_size[0] > 1] == [(7, 7), (3, 3), (3, 3), (3, 3)]

    def test_the_small_network_takes_any_picture_size(self):
        network = SmallResNet(1, (8, 16))
        assert network(torch.randn(2, 1, 32, 32)).shape == (2, 16)
        assert network(torch.randn(2, 1, 47, 20)).shape == (2, 16)

    def test_dropout_keeps_the_mean_and_acts_in_training_only(self):
        layer, x = Dropout(0.3), torch.ones(400, 500)
        y = layer(x)
        assert y.unique().tolist() == pytest.approx([0, 1 / 0.7])
        assert y.mean().item() == pytest.approx(1, abs=0.01)
        assert torch.equal(layer.eval()(x), x)


class TestFlatParameters:
    @pytest.mark.parametrize("columns", [False, True])
    def test_training_flat_is_training_parameter_by_parameter(self, columns):
        plain = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)).double()
        flat_network = copy.deepcopy(plain)
        if columns:
            by_columns(flat_network[0])
        flat = FlatParameters(flat_network.parameters())
        first = flat_network[0].weight
        assert (first.T if columns else first).is_contiguous()
        assert first.grad.stride() == first.stride()
        assert first.data_ptr() == flat.vector.data_ptr()
        one, all_ = torch.optim.Adam(plain.parameters(), lr=0.1), torch.optim.Adam([flat.vector], lr=0.1)
        for _ in range(5):
            x = torch.randn(6, 4, dtype=torch.float64)
            for network, optimiser in ((plain, one), (flat_network, all_)):
                optimiser.zero_grad(set_to_none=False)
                network(x).square().sum().backward()
                optimiser.step()
        for p, q in zip(plain.parameters(), flat_network.parameters(), strict=True):
            torch.testing.assert_close(p, q, rtol=1e-12, atol=1e-14)

    def test_loading_weights_writes_through_to_the_vector(self):
        network = nn.Linear(3, 2)
        flat = FlatParameters(network.parameters())
        network.load_state_dict({"weight": torch.ones(2, 3), "bias": torch.zeros(2)})
        assert flat.vector.tolist() == [1.0] * 6 + [0.0] * 2

    def test_frozen_parameters_stay_out(self):
        network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
        network[0].requires_grad_(False)
        assert FlatParameters(network.parameters()).vector.numel() == 6


class TestMomentumEncoder:
    @pytest.mark.parametrize("columns", [False, True])
    def test_follows_the_query_exponentially(self, columns):
        query = nn.Linear(3, 2)
        if columns:
            by_columns(query)
        parameters = FlatParameters(query.parameters())
        key = MomentumEncoder(query, parameters, momentum=0.9)
        before = key.network.weight.clone()
        with torch.no_grad():
            query.weight += torch.arange(6.0).view(2, 3)
        key.update()
        torch.testing.assert_close(key.network.weight, 0.9 * before + 0.1 * query.weight)

    def test_keys_carry_no_gradient_and_the_batch_norm_statistics_are_its_own(self):
        query = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
        key = MomentumEncoder(query, FlatParameters(query.parameters())).train()
        query(torch.randn(8, 3) + 5)
        assert not key(torch.randn(8, 3)).requires_grad
        assert key.network.training
        assert not torch.equal(query[1].running_mean, key.network[1].running_mean)

    def test_a_checkpoint_restores_it(self):
        query = nn.Linear(3, 2)
        key = MomentumEncoder(query, FlatParameters(query.parameters()), momentum=0.5)
        state = copy.deepcopy(key.state_dict())
        with torch.no_grad():
            query.weight += 1
        key.update()
        key.load_state_dict(state)
        torch.testing.assert_close(key.network.weight, query.weight - 1)
        key.update()
        torch.testing.assert_close(key.network.weight, query.weight - 0.5)


class TestLabelQueue:
    @staticmethod
    def rows(start, n):
        values = torch.arange(start, start + n, dtype=torch.float32)
        return values[:, None].repeat(1, 2), (values[:, None].long() % 2).repeat(1, 3)

    def test_rows_never_written_are_never_seen(self):
        queue = LabelQueue(8, 2, 3)
        keys, labels = self.rows(100, 4)
        assert queue.candidates(keys, labels)[0].shape == (4, 2)
        queue.push(keys, labels)
        candidates, candidate_labels = queue.candidates(*self.rows(200, 4))
        assert candidates[:, 0].tolist() == [200, 201, 202, 203, 100, 101, 102, 103]
        assert candidate_labels.dense()[:, 0].tolist() == [0, 1, 0, 1] * 2

    @pytest.mark.parametrize("batches", [[3, 3, 3, 3], [5, 1, 7, 2], [4, 8, 4], [20], [1] * 9])
    @pytest.mark.parametrize("capacity", [1, 7, 8])
    def test_holds_the_last_rows_for_any_batch(self, capacity, batches):
        queue, start = LabelQueue(capacity, 2, 3), 0
        for n in batches:
            queue.push(*self.rows(start, n))
            start += n
            expected = list(range(max(0, start - capacity), start))
            assert len(queue) == len(expected)
            stored, labels = queue.candidates(torch.empty(0, 2), torch.empty(0, 3, dtype=torch.uint8))
            assert sorted(stored[:, 0].tolist()) == expected
            assert labels.dense()[:, 0].tolist() == (stored[:, 0] % 2).tolist()

    def test_a_checkpoint_restores_it_whole(self):
        queue, other = LabelQueue(5, 2, 3), LabelQueue(5, 2, 3)
        queue.push(*self.rows(0, 4))
        other.load_state_dict(queue.state_dict())
        for q in (queue, other):
            q.push(*self.rows(4, 3))
        assert torch.equal(queue.keys, other.keys)
        assert len(other) == 5

    def test_soft_labels_are_kept(self):
        queue = LabelQueue(4, 2, 3, torch.float32)
        queue.push(torch.zeros(1, 2), torch.tensor([[0.25, 0.5, 1.0]]))
        assert queue.labels[0].tolist() == [0.25, 0.5, 1.0]

    @pytest.mark.parametrize("batches", [[3, 3, 3, 3], [5, 1, 7, 2], [4, 8, 4], [20], [1] * 9])
    def test_running_sums_are_those_of_the_candidates(self, batches):
        queue, plain = LabelQueue(7, 6, 4, running_sums=True), LabelQueue(7, 6, 4)
        random = torch.Generator().manual_seed(0)

        def drawn(n):
            keys = nn.functional.normalize(torch.randn(n, 6, generator=random))
            return keys, (torch.rand(n, 4, generator=random) < 0.4).to(torch.uint8)

        for n in batches:
            rows, new = drawn(n), drawn(2)
            queue.push(*rows)
            plain.push(*rows)
            keys, labels = queue.candidates(*new)
            other_keys, other_labels = plain.candidates(*new)
            assert torch.equal(keys, other_keys)
            expected = other_labels.dense()
            assert torch.equal(labels.dense(), expected)
            torch.testing.assert_close(labels.label_counts(), expected.sum(0))
            assert labels.knows_sums
            torch.testing.assert_close(labels.label_sums(keys), expected.T @ keys, atol=1e-6, rtol=0)
            torch.testing.assert_close(labels.label_sums(2 * keys), 2 * expected.T @ keys)

    def test_running_sums_do_not_drift(self):
        queue = LabelQueue(16, 4, 3, running_sums=True)
        random = torch.Generator().manual_seed(0)
        for _ in range(1000):
            keys = nn.functional.normalize(torch.randn(5, 4, generator=random))
            queue.push(keys, (torch.rand(5, 3, generator=random) < 0.5).to(torch.uint8))
        labels = queue.stored_labels.dense(torch.float64)
        exact = labels.T @ queue.keys.double()
        torch.testing.assert_close(queue.sums, exact, atol=2e-6, rtol=0)
        assert torch.equal(queue.counts, labels.sum(0))

    @pytest.mark.parametrize("n_labels", [1, 7, 8, 9, 65])
    def test_labels_are_stored_as_bits(self, n_labels):
        queue = LabelQueue(6, 2, n_labels)
        labels = (torch.rand(4, n_labels) < 0.5).to(torch.uint8)
        queue.push(torch.zeros(4, 2), labels)
        assert queue.labels.shape == (6, -(-n_labels // 8))
        assert torch.equal(queue.stored_labels.dense(torch.uint8), labels)

    def test_labels_made_storable_once_serve_candidates_and_pushes(self):
        queue, plain = LabelQueue(5, 2, 3), LabelQueue(5, 2, 3)
        keys, labels = self.rows(0, 9)
        ready = queue.storable(labels)
        for rows in (slice(0, 4), slice(4, 7), slice(7, 9)):
            _, found = queue.candidates(keys[rows], ready.take(rows))
            _, expected = plain.candidates(keys[rows], labels[rows])
            assert torch.equal(found.dense(), expected.dense())
            queue.push(keys[rows], ready.take(rows))
            plain.push(keys[rows], labels[rows])
        assert torch.equal(queue.labels, plain.labels)

    def test_running_sums_of_soft_labels(self):
        queue = LabelQueue(6, 4, 3, torch.float32, running_sums=True)
        keys, labels = torch.randn(9, 4), torch.rand(9, 3)
        for rows in (slice(0, 4), slice(4, 9)):
            queue.push(keys[rows], labels[rows])
        found, known = queue.candidates(keys[:2], labels[:2])
        expected = torch.cat([labels[:2], queue.labels])
        assert known.knows_sums
        torch.testing.assert_close(known.label_sums(found), expected.T @ found)
        torch.testing.assert_close(known.label_counts(), expected.sum(0))

    def test_no_dense_labels_are_made_where_their_sums_are_known(self):
        n, n_labels = 3000, 400
        queue = LabelQueue(n, 8, n_labels, running_sums=True)
        keys = nn.functional.normalize(torch.randn(n, 8))
        labels = (torch.rand(n, n_labels) < 0.02).to(torch.uint8)
        queue.push(keys, labels)
        z = torch.randn(16, 8, requires_grad=True)
        candidates = queue.candidates(keys[:16], labels[:16])
        activity = [torch.profiler.ProfilerActivity.CPU]
        with torch.profiler.profile(activities=activity, profile_memory=True) as profile:
            losses.get("mulsupcon", engine="streamed")(z, labels[:16], *candidates).backward()
        largest = max(event.cpu_memory_usage for event in profile.events())
        assert largest < n * n_labels / 4

    @pytest.mark.parametrize("name", ["mulsupcon", "mulsupcon_weighted", "any", "all", "base"])
    def test_losses_take_labels_with_their_sums(self, name):
        random = torch.Generator().manual_seed(0)
        queue, plain = LabelQueue(300, 8, 5, running_sums=True), LabelQueue(300, 8, 5)
        keys = nn.functional.normalize(torch.randn(400, 8, generator=random))
        labels = (torch.rand(400, 5, generator=random) < 0.3).to(torch.uint8)
        queue.push(keys, labels)
        plain.push(keys, labels)
        values = []
        for q in (queue, plain):
            z = torch.randn(20, 8, generator=torch.Generator().manual_seed(1), requires_grad=True)
            value = losses.get(name)(z, labels[:20], *q.candidates(keys[:20], labels[:20]))
            value.backward()
            values.append((value.detach(), z.grad))
        torch.testing.assert_close(values[0], values[1])

    def test_says_what_it_expects(self):
        with pytest.raises(
            ManyLabelError, match=r"keys \(B, 2\) and labels \(B, 3\), but got \(4, 2\) and \(3, 3\)"
        ):
            LabelQueue(4, 2, 3).push(torch.zeros(4, 2), torch.zeros(3, 3))
        with pytest.raises(ManyLabelError, match="capacity as a whole number of at least 1"):
            LabelQueue(0, 2, 3)
