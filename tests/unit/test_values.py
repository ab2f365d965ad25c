"""Mappings that cannot change."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from pytest_dockerkit._values import FrozenMapping


def test_it_is_equal_to_any_mapping_of_the_same_items() -> None:
    made = FrozenMapping({"a": 1, "b": 2})
    assert made == {"b": 2, "a": 1} == made
    assert made == FrozenMapping({"b": 2, "a": 1})
    assert made != {"a": 1}
    items: object = [("a", 1), ("b", 2)]
    assert made != items
    assert FrozenMapping() == FrozenMapping(None) == {}


def test_equal_ones_have_one_hash() -> None:
    assert hash(FrozenMapping({"a": 1, "b": 2})) == hash(FrozenMapping({"b": 2, "a": 1}))
    assert len({FrozenMapping({"a": 1}), FrozenMapping({"a": 1}), FrozenMapping()}) == 2


def test_a_value_without_a_hash_is_only_found_out_when_it_is_needed() -> None:
    made = FrozenMapping({"a": [1]})
    with pytest.raises(TypeError, match="unhashable type: 'list'"):
        hash(made)


def test_it_keeps_the_order_and_is_a_copy() -> None:
    source = {"b": 1, "a": 2}
    made = FrozenMapping(source)
    source["c"] = 3
    assert list(made) == ["b", "a"]
    assert (len(made), made["a"], made.get("c"), "b" in made) == (2, 2, None, True)
    assert repr(made) == "{'b': 1, 'a': 2}"


def test_it_cannot_be_changed() -> None:
    made: Any = FrozenMapping({"a": 1})
    with pytest.raises(TypeError):
        made["a"] = 2
    with pytest.raises(TypeError):
        del made["a"]
    with pytest.raises(AttributeError):
        made.other = 1


def test_it_survives_a_process_boundary() -> None:
    made = FrozenMapping({"a": 1})
    assert pickle.loads(pickle.dumps(made)) == copy.deepcopy(made) == made
