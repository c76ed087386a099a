"""provider.controller.index: from an object to its value, and back to all objects of one value."""

from __future__ import annotations

from provider.api.meta import ObjectKey
from provider.controller.index import Index

A, B = ObjectKey("default", "a"), ObjectKey("default", "b")


def test_a_value_leads_to_all_its_keys() -> None:
    """Two objects may claim one name; changed and removed ones are forgotten."""
    index: Index[str] = Index()
    index.set(B, "one")
    index.set(A, "one")

    assert index.keys("one") == [A, B]
    assert set(index.all()) == {A, B}

    index.set(A, "two")
    assert index.keys("one") == [B]
    assert index.keys("two") == [A]

    assert index.remove(B) == "one"
    assert index.keys("one") == []
    assert index.all() == [A]
    assert index.keys("unknown") == []


def test_removing_an_unknown_key_changes_nothing() -> None:
    """An object that goes away may never have been indexed."""
    index: Index[ObjectKey] = Index()
    index.set(A, B)

    assert index.remove(B) is None
    assert index.keys(B) == [A]
