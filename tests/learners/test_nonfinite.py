import torch
from torch import nn

from learners import Finding, Inspection

NAN, INF = float("nan"), float("inf")


class Between(nn.Module):
    """Two layers; what lies between them is computed by no module."""

    def __init__(self, between):
        super().__init__()
        self.first, self.last = nn.Linear(2, 3), nn.Linear(3, 1)
        self.between = between
        for parameter in self.parameters():
            nn.init.ones_(parameter)

    def forward(self, x):
        return self.last(self.between(self.first(x)))


def inspect(network, x, backward=True):
    inspection = Inspection()
    with inspection.watching(network):
        loss = network(x).sum()
        if backward:
            loss.backward()
    return inspection.findings


def test_counts_and_the_first_index():
    inspection = Inspection()
    x = torch.zeros(3, 4)
    x[1, 2], x[2, 0], x[2, 3] = -INF, NAN, INF
    inspection.look("input", "", {"whole": torch.arange(3), "fine": torch.ones(2), "x": x})
    assert inspection.findings == [Finding("input", "x", (3, 4), nans=1, infs=2, first=(1, 2))]


def test_parts_have_names():
    inspection = Inspection()
    bad = [torch.tensor(NAN) for _ in range(3)]
    inspection.look("input", "state", (torch.ones(1), {"a": bad[0]}, [bad[1]]))
    inspection.look("input", "", {"b": bad[2]})
    assert [finding.name for finding in inspection.findings] == ["state[1].a", "state[2][0]", "b"]
    assert inspection.findings[0].first == ()


def test_what_comes_between_two_modules_is_the_input_of_the_second():
    first, *_ = inspect(Between(lambda h: h / (h - h)), torch.ones(4, 2))
    assert first == Finding("activation", "input of last", (4, 3), nans=0, infs=12, first=(0, 0))


def test_a_module_that_overflows_is_named_by_its_output_and_nothing_twice():
    network = Between(lambda h: h)
    network.first.weight.data[1] = 3e38
    found = [f.name for f in inspect(network, torch.ones(4, 2)) if f.kind == "activation"]
    assert found == ["output of first", "output of last"]


def test_gradients_come_in_the_order_of_the_backward_pass():
    # The root of 0 is 0, its derivative infinite.
    network = Between(lambda h: (h * 0).sqrt())
    found = inspect(network, torch.ones(4, 2))
    assert {finding.kind for finding in found} == {"gradient"}
    # Those of `last` are finite: its input is.
    assert sorted(finding.name for finding in found) == ["first.bias", "first.weight"]


def test_an_early_gradient_comes_after_a_late_activation():
    network = Between(lambda h: (h * 0).sqrt())
    inspection = Inspection()
    with inspection.watching(network):
        network(torch.ones(4, 2)).sum().backward()
        network(torch.full((4, 2), NAN))
    assert [f.kind for f in inspection.findings][:1] == ["activation"]


def test_what_is_computed_without_gradients_is_left_out():
    with torch.no_grad():
        assert not inspect(Between(lambda h: h * NAN), torch.ones(4, 2), backward=False)


def test_nothing_is_watched_afterwards():
    network = Between(lambda h: h * NAN)
    inspection = Inspection()
    with inspection.watching(network):
        pass
    network(torch.ones(4, 2)).sum().backward()
    assert inspection.findings == []
