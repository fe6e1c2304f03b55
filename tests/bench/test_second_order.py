"""Our method on the reference's objective: the same function, its slopes, and that it descends further than Adam."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from bench.baseline import adam, objective, problem, second_order, second_order_start
from bench.baseline.second_order_terms import Layout, retract
from bench.controlled import structure
from bench.controlled.inputs import make_inputs
from josh_blender.engine.solver import so3


@pytest.fixture(scope="module")
def posed(model, short_walk, tmp_path_factory):
    folder = tmp_path_factory.mktemp("depth")
    inputs = make_inputs(short_walk.truth, short_walk.views, short_walk.sightings, model, 1.0, 0, folder)
    return problem.make_problem(inputs, model, problem.REPAIRED)


@pytest.fixture(scope="module")
def run(posed):
    return second_order.solve(posed)


def direction(posed):
    """A random step: of the border, and of each person."""
    generator = torch.Generator().manual_seed(0)

    def draw(*size):
        return torch.randn(*size, generator=generator, dtype=torch.float64)

    return draw(Layout.of(posed).size), [draw(len(person.keys), 75) for person in posed.people]


def moved(posed, state, size):
    """A state some way from another, so that no residual is zero."""
    border, chains = direction(posed)
    return retract(state, Layout.of(posed), size * border, [size * chain for chain in chains])


def with_every_term(posed):
    """The problem with contacts of each kind, also a static pair wider than the band."""
    person = posed.people[0]
    rows, keys = torch.tensor([0, 1, 3]), person.keys[[0, 1, 3]]
    contacts = replace(
        person.contacts, key=keys, row=rows, point=torch.zeros(3, dtype=torch.long),
        anchor=torch.tensor([0.9, 1.1, 1.3]).double(), ratio=torch.tensor([1.0, 1.02, 0.97]).double(),
        before=torch.tensor([0, 0, 1]), after=torch.tensor([1, 2, 4]), static_point=torch.zeros(3, dtype=torch.long),
    )  # fmt: skip
    return replace(posed, people=(replace(person, contacts=contacts), *posed.people[1:]))


def test_cost_and_gradient_are_the_objectives(posed):
    posed = with_every_term(posed)
    state = moved(posed, second_order_start.start(posed), 0.02)
    terms = second_order.Terms.of(posed)
    at = second_order.moment(terms, state)
    assert at.cost == pytest.approx(float(objective.stage_2(posed, state)), rel=1e-12)
    system = second_order.assemble(terms, at)
    border = torch.zeros(terms.layout.size, dtype=torch.float64, requires_grad=True)
    chains = [torch.zeros(len(p.keys), 75, dtype=torch.float64, requires_grad=True) for p in posed.people]
    objective.stage_2(posed, retract(state, terms.layout, border, chains)).backward()
    for mine, own in [(system.gradient, border), *zip((c.gradient for c in system.chains), chains, strict=True)]:
        torch.testing.assert_close(mine, own.grad, rtol=1e-6, atol=1e-9 * float(own.grad.abs().max()))


@pytest.mark.parametrize("wide", [False, True])
def test_the_matrix_is_that_of_the_weighted_slopes(posed, wide):
    """v' H v against differences of the residuals along v; a static pair wider than the band only bounds it."""
    posed = with_every_term(posed)
    person = posed.people[0]
    if not wide:
        narrow = replace(person.contacts, after=torch.tensor([1, 2, 3]))
        posed = replace(posed, people=(replace(person, contacts=narrow),))
    terms = second_order.Terms.of(posed)
    at = second_order.moment(terms, moved(posed, second_order_start.start(posed), 0.02))
    system = second_order.assemble(terms, at)
    border, (body,) = direction(posed)
    curved = float(border @ system.matrix @ border)
    chain = system.chains[0]
    curved += 2.0 * float(torch.einsum("twd,w,td->", chain.border, border, body))
    for gap in range(3):
        product = torch.einsum("ti,tij,tj->", body[: len(body) - gap], chain.band[: len(body) - gap, gap], body[gap:])
        curved += (2.0 if gap else 1.0) * float(product)

    step = 1e-5
    ends = [
        second_order.moment(terms, retract(at.state, terms.layout, sign * step * border, [sign * step * body]))
        for sign in (-1.0, 1.0)
    ]

    def slope(residual):
        before, after = (residual(end) for end in ends)
        return (after - before) / (2.0 * step)

    posed_person, turns = at.people[0], body[:, 3:].reshape(len(body), 24, 3).square().sum(-1)
    weight = posed_person.weight
    expected = (
        (weight["smooth"] * slope(lambda end: end.people[0].change).square().sum(-1)).sum()
        + (weight["static"] * slope(lambda end: end.people[0].slip).square().sum(-1)).sum()
        + (weight["scale"] * slope(lambda end: end.people[0].gap).square()).sum()
        + (weight["place"] * body[:, :3].square().sum(-1)).sum()
        + (weight["root"] * 0.25 * turns[:, 0]).sum()
        + (weight["joints"] * 2.0 * turns[:, 1:].sum(-1)).sum()
        + weight["betas"] * border[terms.layout.betas_start(0) :].square().sum()
        + across_offsets(terms, at, slope(lambda end: end.projected.offset))
    )
    if wide:
        assert curved > float(expected)
    else:
        assert curved == pytest.approx(float(expected), rel=1e-4)


def across_offsets(terms, at, change):
    """E2D's part: only what changes across the offsets counts where these are longer than their smoothing."""
    offset, length = at.projected.offset, at.projected.length
    across = (offset[:, 0] * change[:, 1] - offset[:, 1] * change[:, 0]) / length[:, 0]
    weight = terms.correspondences.share * objective.robust_slope(length, objective.NARROW) / length
    return (weight[:, 0] * across.square()).sum()


def test_start_is_the_similarity_between_two_key_frames():
    """A known motion and size of one map in the other, a tenth of the correspondences wrong."""
    generator = torch.Generator().manual_seed(1)
    source = torch.randn(1, 100, 3, generator=generator, dtype=torch.float64) + torch.tensor([0.0, 0.0, 6.0])
    turn = so3.exp(torch.tensor([[0.1, -0.2, 0.05]], dtype=torch.float64))
    target = 1.3 * source @ turn.mT + torch.tensor([0.3, 0.1, -0.2])
    target[:, :10] += 1.0
    known = torch.ones(1, 100, dtype=torch.bool)
    known[:, 90:] = False
    target[:, 90:] = 0.0
    scale, rotation, shift = structure.robust_similarities(source, target, known)
    torch.testing.assert_close(scale, torch.tensor([1.3]).double(), rtol=1e-3, atol=0)
    torch.testing.assert_close(rotation, turn, rtol=0, atol=1e-3)
    torch.testing.assert_close(shift, torch.tensor([[0.3, 0.1, -0.2]]).double(), rtol=0, atol=1e-2)


def test_the_starts_scale_is_the_best_one(posed):
    state = second_order_start.start(posed)

    def cost(factor):
        scaled = replace(state, centre=factor * state.centre, log_size=state.log_size + math.log(factor))
        return float(objective.stage_2(posed, scaled))

    assert cost(1.0) < min(cost(0.98), cost(1.02))


def test_one_step_lowers_the_cost(posed, run):
    terms = second_order.Terms.of(posed)
    at = second_order.moment(terms, second_order_start.start(posed))
    found = second_order.better(terms, at, 1e-4)
    assert found is not None and found[0].cost < at.cost
    assert run.trace.cost == sorted(run.trace.cost, reverse=True)


def test_it_ends_below_adam_and_holds_the_first_key_frame(posed, run):
    other = adam.solve(posed, problem.REPAIRED, (60, 30))
    cost = float(objective.stage_2(posed, run.state))
    assert cost == pytest.approx(run.trace.cost[-1], rel=1e-9)
    assert cost <= float(objective.stage_2(posed, other.state))
    start = run.trace.states[0]
    torch.testing.assert_close(run.state.rotation[0], start.rotation[0], atol=1e-12, rtol=0)
    torch.testing.assert_close(run.state.centre[0], start.centre[0], atol=0, rtol=0)
    turns = torch.cat([run.state.rotation.flatten(0, -3), *(b.rotation.flatten(0, -3) for b in run.state.bodies)])
    torch.testing.assert_close(turns @ turns.mT, torch.eye(3).double().expand_as(turns), atol=1e-9, rtol=0)
