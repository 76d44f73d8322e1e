"""Links between the pages of the site and the READMEs beside the code."""

import runpy

import pytest

from tests.launch.runs import ROOT

pytest.importorskip("mkdocs")


@pytest.mark.parametrize(
    ("link", "source", "page", "on_the_site"),
    [
        # from a README to a page, and from a page to a README
        (
            "../../docs/results/memory.md#x",
            "agents/cores/README.md",
            "design/cores.md",
            "../results/memory.md#x",
        ),
        ("../../agents/cores/README.md", "docs/howto/gpu.md", "howto/gpu.md", "../design/cores.md"),
        # within the site, to another site, within the page
        ("core.md", "docs/howto/gpu.md", "howto/gpu.md", "core.md"),
        ("https://arxiv.org", "docs/index.md", "index.md", "https://arxiv.org"),
        ("#metrics", "docs/index.md", "index.md", "#metrics"),
    ],
)
def test_relink(link, source, page, on_the_site):
    relink = runpy.run_path(str(ROOT / "docs" / "hooks.py"))["relink"]
    assert relink(f"see [this]({link}).", source, page) == f"see [this]({on_the_site})."
