"""Manifests as people and their enemies write them: read as kubectl reads them, or refused in bounded time with the place."""

from __future__ import annotations

import contextlib

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from provider.api.manifests import MOST_OBJECTS, Manifest, ManifestError, Reference, can_be, digest, read

HEAD = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"


def refused(text: str) -> str:
    with pytest.raises(ManifestError) as failure:
        read(text)
    return str(failure.value)


def test_documents_and_lists_become_objects_in_their_order() -> None:
    """Empty documents count as documents and give nothing; an item of a List has the number of its document."""
    text = (
        "# a comment\n---\n" + HEAD + "---\n---\napiVersion: v1\nkind: List\nitems:\n"
        "- {apiVersion: apps/v1, kind: Deployment, metadata: {name: b, namespace: c}}\n"
    )
    first, second = read(text)

    assert (Reference("", "ConfigMap", "", "a"), "v1") == (first.reference, first.api_version)
    assert (Reference("apps", "Deployment", "c", "b"), "apps/v1") == (second.reference, second.api_version)
    assert first.document < second.document
    assert () == read("") == read("---\n---\n# nothing\n")


def test_values_are_those_that_kubectl_reads() -> None:
    """No times, no numbers of base 60, numbers with an exponent; keys are texts."""
    data = "data: {a: 22:22, b: 2020-01-01, c: 1e3, d: 0x10, e: 010, f: yes, 1: x, g: 1.5, h: 08, i: 1_000, j: true, k: ~}"
    (one,) = read(HEAD + data)

    expected = {"a": "22:22", "b": "2020-01-01", "c": 1000.0, "d": 16, "e": 8, "f": True, "1": "x", "g": 1.5, "h": "08"}
    assert {**expected, "i": "1_000", "j": True, "k": None} == one.obj["data"]


def test_aliases_and_merges_are_taken_within_bounds() -> None:
    """People write them by hand."""
    (one,) = read(HEAD + "x: &x {a: 1}\ny: {<<: *x, b: 2}\nz: *x\n")

    assert ({"a": 1, "b": 2}, {"a": 1}) == (one.obj["y"], one.obj["z"])


def test_what_a_server_gives_is_left_out() -> None:
    """An export can be applied."""
    given = "name: a, uid: u, resourceVersion: '1', generation: 2, creationTimestamp: null, managedFields: [], labels: {a: b}"
    (one,) = read(f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{{given}}}\n")

    assert {"name": "a", "labels": {"a": "b"}} == one.obj["metadata"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [", "line 2: this is not YAML"),
        ("a: b: c", "line 1: this is not YAML"),
        ("'", "this is not YAML"),
        ("\x00", "this is not YAML"),
        ("\ud800", "this is not YAML"),
        ("%YAML 9.9\n--- x", "this is not YAML"),
        ("a: *u", "undefined alias"),
        ("a: 1\na: 2", "line 2: this is not YAML: a key stands here twice"),
        ("? [a]\n: b", "a key is no text"),
        ("!!python/object:os.system x", "could not determine a constructor"),
        ("a: !!binary aGk=", "could not determine a constructor"),
        ("a: !!timestamp x", "could not determine a constructor"),
        ("a: !!int x", "does not fit its tag"),
        ("a: !!bool zz", "does not fit its tag"),
        ("!!map [1]", "expected a mapping"),
        ("<<: 1", "expected a mapping"),
        ("a: !!int 1" + "0" * 5000, "does not fit its tag"),
        ("- x", "document 1 is no object"),
        (f"{HEAD}---\nx", "document 2 is no object"),
        (f"{HEAD}a: .nan", "document 1 has a value that JSON does not know"),
        (f"{HEAD}a: 1e999", "document 1 has a value that JSON does not know"),
        ("kind: x\nmetadata: {name: a}", "document 1 has no apiVersion"),
        ("apiVersion: v1/../x\nkind: x\nmetadata: {name: a}", "document 1 has no apiVersion"),
        ("apiVersion: v1\nmetadata: {name: a}", "document 1 has no kind"),
        ("apiVersion: v1\nkind: 1\nmetadata: {name: a}", "document 1 has no kind"),
        ("apiVersion: v1\nkind: X\nmetadata: {generateName: a}", "document 1 (X) has no metadata.name"),
        ("apiVersion: v1\nkind: X\nmetadata: {name: 1}", "document 1 (X) has no metadata.name"),
        ("apiVersion: v1\nkind: X\nmetadata: {name: ../../x}", "document 1 (X) has no metadata.name"),
        ("apiVersion: v1\nkind: X\nmetadata: {name: '..'}", "document 1 (X) has no metadata.name"),
        ("apiVersion: v1\nkind: X\nmetadata: {name: a%2fb}", "document 1 (X) has no metadata.name"),
        ("apiVersion: v1\nkind: X\nmetadata: {name: a, namespace: a/b}", "document 1 (X a): metadata.namespace"),
        ("apiVersion: v1\nkind: X\nmetadata: {name: a, labels: {a: 1}}", "document 1 (X a): metadata.labels"),
        ("apiVersion: v1\nkind: X\nmetadata: {name: a, annotations: x}", "document 1 (X a): metadata.annotations"),
        ("apiVersion: v1\nkind: List\nitems: x", "document 1: items is no list"),
        ("apiVersion: v1\nkind: List\nitems: [x]", "document 1, an item of its List"),
        (f"{HEAD}---\n{HEAD}", "documents 1 and 2 are the same object, ConfigMap a"),
    ],
)
def test_what_is_no_manifest_is_refused_with_its_place(text: str, says: str) -> None:
    """The message alone is enough to find it."""
    assert says in refused(text)


BOMB = "\n".join(["a0: &a0 [x,x]", *(f"a{n}: &a{n} [*a{n - 1},*a{n - 1}]" for n in range(1, 60))])
MERGES = "\n".join(["a0: &a0 {x: 1}", *(f"a{n}: &a{n} {{<<: [*a{n - 1},*a{n - 1}]}}" for n in range(1, 60))])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param(BOMB, "stands for more than", id="aliases of aliases"),
        pytest.param(MERGES, "stands for more than", id="merges of merges"),
        pytest.param("a: &a [*a]", "an alias stands for what it is part of", id="an alias of itself"),
        pytest.param("a: &t " + "x" * 5000 + "\nb: [" + "*t," * 900 + "]", "characters", id="a long text many times"),
        pytest.param("[" * 100_000, "levels deep", id="brackets"),
        pytest.param("{a: " * 100_000, "levels deep", id="braces"),
        pytest.param("- " * 100_000, "levels deep", id="dashes"),
        pytest.param("[" + "1," * 120_000 + "]", "stands for more than", id="values"),
    ],
)
def test_what_stands_for_too_much_is_refused_before_it_is_built(text: str, says: str) -> None:
    """An alias costs nothing to write."""
    assert says in refused(text)


def test_too_many_objects_are_refused() -> None:
    """So that lists and inventory stay small."""
    one = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a%d}\n"
    assert str(MOST_OBJECTS) in refused("---\n".join(one % number for number in range(MOST_OBJECTS + 1)))


SECRET = "dG9wLXNlY3JldA"


@pytest.mark.parametrize(
    "text", [f"a: {SECRET}: b", f"'{SECRET}", f"{SECRET}: 1\n{SECRET}: 2", f"- {SECRET}", f"kind: {SECRET}\n{SECRET}"]
)
def test_no_message_quotes_the_text(text: str) -> None:
    """It may hold Secrets, and a status is read by more people than they are."""
    assert SECRET not in refused(text)


@settings(deadline=None, max_examples=150)
@given(st.text() | st.text(alphabet="&*[]{}-:?!<> \n\t'\"|>%@`ab01.~#,", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Nothing else is raised, whatever it is."""
    found: tuple[Manifest, ...] = ()
    with contextlib.suppress(ManifestError):
        found = read(text)

    assert all(can_be(one.reference, one.api_version) for one in found)


def test_the_digest_is_one_of_the_objects() -> None:
    """Comments, layout and the order of keys are not applied; values and the order of objects are."""
    plain = digest(read(HEAD + "data: {a: x, b: y}"))
    other = yaml.safe_dump({"metadata": {"name": "a"}, "kind": "ConfigMap", "data": {"b": "y", "a": "x"}, "apiVersion": "v1"})

    assert plain == digest(read("# why\n" + other))
    assert plain != digest(read(HEAD + "data: {a: x, b: z}"))
