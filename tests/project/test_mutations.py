"""The list of mutations keeps up with the code: each has its place, once, and tests that could notice it."""

import json

import mutations

from implementations.places import ROOT


def test_every_mutation_has_its_place_and_tests():
    assert not mutations.problems()
    assert len({(each.file, each.old, each.new) for each in mutations.MUTATIONS}) == len(mutations.MUTATIONS)
    assert all(each.old != each.new and each.why for each in mutations.MUTATIONS)


def test_what_is_argued_is_a_mutation():
    assert mutations.ARGUED.keys() <= {each.new for each in mutations.MUTATIONS}


def test_the_page_says_what_the_last_whole_run_found_and_that_of_what_is_new_since():
    kept = json.loads(mutations.KEPT.read_text())
    page = " ".join((ROOT / "docs" / "trust.md").read_text().split())
    assert f"lists {len(mutations.MUTATIONS)} faults" in page
    for found in (kept, *([kept["since"]] if "since" in kept else [])):
        assert f"{found['noticed']} of {found['tried']} were noticed" in page
        assert f"commit {found['commit']}" in page
        assert len(found["survivors"]) + len(found["argued"]) + found["noticed"] == found["tried"]
