"""The list of mutations keeps up with the code: each has its place, once, and tests that could notice it."""

import mutations


def test_every_mutation_has_its_place_and_tests():
    assert not mutations.problems()
    assert len({(each.file, each.old, each.new) for each in mutations.MUTATIONS}) == len(mutations.MUTATIONS)
    assert all(each.old != each.new and each.why for each in mutations.MUTATIONS)


def test_what_is_argued_is_a_mutation():
    assert mutations.ARGUED.keys() <= {each.new for each in mutations.MUTATIONS}
