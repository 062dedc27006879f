"""LaMP, MPVAE, RBCC, C-GMVAE: stored values of the released codes, and what the papers say of them."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from manylabel import ManyLabelError
from manylabel.models import cgmvae, lamp, mpvae, rbcc
from manylabel.models.gaussian import log_densities, sample

FOLDER = Path(__file__).parents[1] / "reference_values"
STORED = np.load(FOLDER / "baselines.npz")
CASES = {case["case"]: case for case in json.loads((FOLDER / "baselines.json").read_text())["cases"]}


def stored(case, name):
    array = torch.from_numpy(STORED[f"{case}__{name}"])
    return array if array.dtype == torch.uint8 else array.double()


def near(value, want, tolerance=1e-10):
    np.testing.assert_allclose(value.detach().numpy(), want.numpy(), rtol=tolerance, atol=tolerance)


@pytest.fixture(params=CASES)
def case(request):
    return request.param


def chains(case):
    sizes = CASES[case]
    network = rbcc.RecurrentChains(sizes["D"], sizes["C"], hidden=sizes["H"]).double()
    values = {"out.weight": "out_weight", "out.bias": "out_bias"}
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        values[f"cell.{name}"] = f"rnn_cell_{name}_l0"
    own = dict(network.named_parameters())
    assert own.keys() == values.keys()
    for name, theirs in values.items():
        own[name].data.copy_(stored(case, f"rbcc_param_{theirs}"))
    network.connect([sizes["parents"][str(c)] for c in range(sizes["C"])])
    return network


def test_chains_give_the_released_logits_and_probabilities(case):
    network, x, Y = chains(case), stored(case, "x"), stored(case, "Y")
    near(network.logits(x, Y.double()), stored(case, "rbcc_train_logits"))
    near(network.probabilities(x), stored(case, "rbcc_infer_prob"))
    want = F.binary_cross_entropy_with_logits(stored(case, "rbcc_train_logits"), Y.double())
    torch.testing.assert_close(network.loss(x, Y), want, check_dtype=False, atol=1e-7, rtol=1e-6)


def test_chains_read_what_a_cell_reads_parent_by_parent(case):
    network, x, Y = chains(case), stored(case, "x"), stored(case, "Y").double()
    for label, parents in CASES[case]["parents"].items():
        state = None
        for parent in parents or [None]:
            part = torch.zeros_like(Y)
            if parent is not None:
                part[:, parent] = Y[:, parent]
            state = network.cell(torch.cat([part, x], 1), state)
        logit = network.out(state)[:, int(label)]
        near(network.logits(x, Y)[:, int(label)], logit.detach())


def test_chains_keep_their_graph_in_a_checkpoint(case):
    network, x = chains(case), stored(case, "x")
    again = nn.ModuleDict(
        {"inner": rbcc.RecurrentChains(x.shape[1], network.n_labels, hidden=CASES[case]["H"])}
    )
    again.double().load_state_dict({f"inner.{k}": v for k, v in network.state_dict().items()})
    near(again["inner"].probabilities(x), network.probabilities(x).detach())


def test_parents_in_a_cycle_are_refused():
    with pytest.raises(ManyLabelError, match=r"parents without a cycle, but got one among labels \[0, 2\]"):
        rbcc.RecurrentChains(3, 3).connect([[2], [], [0, 1]])


def test_binary_relevance_is_one_network_per_label():
    network, x = rbcc.BinaryRelevance(5, 3, hidden=4), torch.randn(6, 5)
    for c in range(3):
        part = slice(4 * c, 4 * c + 4)
        hidden = torch.sigmoid(F.linear(x, network.first.weight[part], network.first.bias[part]))
        torch.testing.assert_close(network(x)[:, c], hidden @ network.weight[c] + network.bias[c])


def mpvae_terms(case):
    Y, factor, xi = stored(case, "Y").double(), stored(case, "mpvae_R"), stored(case, "mpvae_noise")
    found = {}
    for branch in ("label", "feat"):
        P = mpvae.probit_probabilities(stored(case, f"mpvae_mu_{branch}"), factor, xi)
        found[f"nll_{branch}"] = mpvae.negative_log_likelihood(P, Y)
        found[f"rank_{branch}"] = mpvae.ranking(P, Y)
    gaussians = [stored(case, f"mpvae_enc_{b}_{m}") for b in ("feat", "label") for m in ("mu", "logvar")]
    found["kl"] = mpvae.divergence(*gaussians)
    return found


def test_mpvae_gives_the_released_terms_and_total(case):
    found = mpvae_terms(case)
    for name, value in found.items():
        near(value, stored(case, f"mpvae_{name}"), 1e-8)
    total = 0.5 * (found["nll_label"] + found["nll_feat"]) + 10 * (found["rank_label"] + found["rank_feat"])
    near(total + 1.1 * found["kl"], stored(case, "mpvae_total_nll0p5_c10"), 1e-8)
    mean = mpvae.probit_probabilities(
        stored(case, "mpvae_mu_feat"), stored(case, "mpvae_R"), stored(case, "mpvae_noise")
    )
    near(mean.mean(0), stored(case, "mpvae_prob"), 1e-8)


def test_mpvae_adds_its_terms_up():
    network = mpvae.MPVAE(4, 3, latent=2, draws=5, likelihood_weight=0.5, ranking_weight=10.0).eval()
    x, Y = torch.randn(6, 4), (torch.rand(6, 3) < 0.5).to(torch.uint8)
    torch.manual_seed(1)
    value = network.loss(x, Y)
    torch.manual_seed(1)
    f, l = network.from_features(x), network.from_labels(torch.cat([x, Y], 1))  # noqa: E741
    noise, want = torch.randn(6, 2), 1.1 * mpvae.divergence(*f, *l)
    xi = torch.randn(5, 6, 3)
    for head, g in ((network.label_means, l), (network.feature_means, f)):
        z = sample(*g, noise)
        P = mpvae.probit_probabilities(head(network.decoder(torch.cat([x, z], 1))), network.factor, xi)
        want = want + 0.5 * mpvae.negative_log_likelihood(P, Y.float()) + 10 * mpvae.ranking(P, Y.float())
    torch.testing.assert_close(value, want)


def test_the_mean_probability_of_mpvae_is_that_of_many_draws(case):
    mu, factor = stored(case, "mpvae_mu_feat"), stored(case, "mpvae_R")
    xi = torch.randn(40_000, len(mu), factor.shape[1], dtype=torch.float64)
    drawn = mpvae.probit_probabilities(mu, factor, xi).mean(0)
    near(mpvae.mean_probabilities(mu, factor), drawn, 0.01)


def test_rows_with_all_labels_or_none_do_not_rank():
    P = torch.rand(3, 2, 4)
    assert mpvae.ranking(P, torch.tensor([[1.0] * 4, [0.0] * 4])) == 0


def test_cgmvae_gives_the_released_terms_and_total(case):
    Y, table = stored(case, "Y").double(), stored(case, "cgmvae_label_table")
    e_l, e_f, e_2 = (stored(case, f"cgmvae_{name}") for name in ("label_emb", "feat_emb", "feat_emb2"))
    near(cgmvae.likelihood_loss(e_l @ table, Y), stored(case, "cgmvae_nll_label"))
    near(cgmvae.likelihood_loss(e_f @ table, Y), stored(case, "cgmvae_nll_feat"))
    contrast = cgmvae.contrastive_loss(torch.cat([e_l, e_f]) @ table, Y.repeat(2, 1))
    near(contrast, stored(case, "cgmvae_contrastive"))
    row = [stored(case, f"cgmvae_feat_{m}") for m in ("mu", "logvar")]
    labels = [stored(case, f"cgmvae_label_{m}") for m in ("mu", "logvar")]
    kl = cgmvae.mixture_divergence(sample(*row, stored(case, "cgmvae_eps")), *row, *labels, Y)
    near(kl, stored(case, "cgmvae_kl"))
    network = cgmvae.CGMVAE(2, Y.shape[1], embedding=len(table)).double()
    network.table.weight.data.copy_(table)
    near(network.combine([e_l, e_f, e_2], kl, Y), stored(case, "cgmvae_total"))


def test_densities_are_those_of_torch_up_to_the_constant():
    z, mean, log_variance = (torch.randn(n, 3, dtype=torch.float64) for n in (4, 5, 5))
    normal = torch.distributions.Normal(mean, (log_variance / 2).exp())
    want = normal.log_prob(z[:, None]).sum(-1) + 1.5 * np.log(2 * np.pi)
    torch.testing.assert_close(log_densities(z, mean, log_variance), want)


def small_lamp(**settings):
    return lamp.LaMP(6, 4, **({"width": 8, "inner": 5, "layers": 2, "heads": 2} | settings))


def test_lamp_reads_out_row_by_row_what_the_code_takes_from_a_diagonal():
    network, x = small_lamp().eval(), torch.randn(3, 6)
    u = network.states(x)[-1]
    torch.testing.assert_close(network.logits(x), torch.diagonal(u @ network.readout.T, dim1=1, dim2=2))


def test_attention_is_softmax_of_scaled_products_within_the_mask():
    block, u = lamp.Attention(8, 2, 0.3).eval(), torch.randn(2, 4, 8)
    allowed = torch.rand(4, 4) < 0.5
    allowed.fill_diagonal_(True)
    heads = []
    for part in (slice(0, 4), slice(4, 8)):
        q, k, v = ((u @ layer.weight.T)[..., part] for layer in (block.query, block.key, block.value))
        scores = (q @ k.transpose(1, 2) / 2).masked_fill(~allowed, -torch.inf)
        heads.append(scores.softmax(-1) @ v)
    out = block.norm(u + torch.cat(heads, -1) @ block.output.weight.T)
    torch.testing.assert_close(block(u, u, allowed), out)


def test_the_graph_decides_which_labels_hear_of_each_other():
    Y = torch.tensor([[1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]])
    prior = small_lamp(graph="prior")
    prior.connect(Y)
    pair = torch.tensor([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], dtype=torch.bool)
    assert torch.equal(prior.neighbours, pair)
    everyone = torch.ones(4, 4, dtype=torch.bool)
    for network, heard in (
        (prior, pair),
        (small_lamp(graph="edgeless"), torch.eye(4, dtype=torch.bool)),
        (small_lamp(graph="none"), everyone),
    ):
        assert torch.equal(changed_by(network.eval()), heard)


@torch.no_grad()
def changed_by(network):
    """Entry (l, m): whether the logit of label l moves with the embedding of label m."""
    x, moved = torch.randn(2, 6), []
    before = network.logits(x)
    for m in range(4):
        network.labels[m] += 1 + torch.arange(8)
        moved.append((network.logits(x) - before).abs().amax(0) > 1e-6)
        network.labels[m] -= 1 + torch.arange(8)
    return torch.stack(moved, 1)


def test_intermediate_losses_train_states_but_not_the_read_out():
    x, Y = torch.randn(5, 6), (torch.rand(5, 4) < 0.5).to(torch.uint8)
    network = small_lamp(intermediate=0.2).eval()
    states = network.states(x)
    assert len(states) == 4  # two halves of two layers
    terms = [F.binary_cross_entropy_with_logits((u * network.readout).sum(-1), Y.float()) for u in states]
    value = network.loss(x, Y)
    torch.testing.assert_close(value, terms[-1] + 0.2 * sum(terms[:-1]))
    plain = torch.autograd.grad(terms[-1], network.readout, retain_graph=True)[0]
    torch.testing.assert_close(torch.autograd.grad(value, network.readout)[0], plain)


def test_a_tied_read_out_is_the_label_table():
    network = small_lamp(tied=True)
    assert network.readout is network.labels
    assert len(list(network.parameters())) == len(list(small_lamp().parameters())) - 1


@pytest.mark.parametrize("attention", [False, True])
def test_words_are_features_other_than_zero(attention):
    network = small_lamp(inputs="words", encoder_attention=attention, max_words=3).eval()
    x = torch.zeros(4, 6)
    x[0, [1, 4]], x[1, 5], x[2, :] = torch.tensor([0.2, 3.0]), -1.0, 1.0  # the last row has no word
    words, present = network.encoder(x)
    assert present[:3].tolist() == [[True, True, False], [True, False, False], [True, True, True]]
    logits = network.logits(x)
    assert torch.isfinite(logits).all()
    torch.testing.assert_close(network.logits(x[:1]), logits[:1])  # padding changes nothing
    torch.testing.assert_close(network.logits(2.0 * x), logits)
    if not attention:
        first = network.encoder.table.weight[2]
        for block in network.encoder.blocks:
            first = block.position_wise(first)
        torch.testing.assert_close(words[0, 0], first)
