"""Whether a cluster may be made as it is asked for: the document that kind would get, against the rule of its namespace. Pure."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from provider.policy.file import HostPath, Policy, Rule
from provider.policy.paths import Parts, exposed, is_within, parts_of, text_of, without_alias
from provider.ports.registries import Registries

ASK = "or have it allowed in the manager's policy file (--policy-file)"
PATCHES = {
    "kubeadmConfigPatches": "kubeadm",
    "kubeadmConfigPatchesJSON6902": "kubeadm",
    "containerdConfigPatches": "containerd",
    "containerdConfigPatchesJSON6902": "containerd",
}
REGISTRY, LIBRARY = "docker.io/", "docker.io/library/"
"""What the engines put before a name without a registry."""

Real = Mapping[str, str]
"""A path → where it really leads on the engine's host, symbolic links followed. Without an entry: nobody could tell."""


def refusals(policy: Policy, namespace: str, config: Mapping[str, Any], image: str | None, real: Real) -> list[str]:
    """Why a cluster may not be made: field, value and cure each; empty when it may.

    `config`: kind's document. `image`: of nodes that name none themselves; None where the manager or kind chooses it. `real`: of the paths
    that `paths_of_interest` names.
    """
    rule = policy.rule_for(namespace)
    own = [parts for path in policy.own if (parts := parts_of(path)) is not None]
    return [
        *_mounts(rule, namespace, config, real, own),
        *_images(rule, namespace, config, image),
        *_ports(rule, namespace, config),
        *_patches(rule, namespace, config),
    ]


def registry_refusals(policy: Policy, namespace: str, registries: Registries) -> list[str]:
    """The same of the registries that nodes are to know. Asked also of a cluster that runs, before its nodes are told of them."""
    rule = policy.rule_for(namespace)
    found = []
    if registries.shared and not rule.registry:
        found.append(f"spec.registry: namespace {namespace} may not use the shared registry: remove it, {ASK}.")
    for index, mirror in enumerate(registries.mirrors):
        for number, endpoint in enumerate(mirror.endpoints):
            if not any(fnmatch.fnmatchcase(endpoint, pattern) for pattern in rule.mirrors):
                allowed = ", ".join(rule.mirrors) or "none"
                field = f"spec.registryMirrors[{index}].endpoints[{number}]"
                found.append(f"{field}: namespace {namespace} may not use {endpoint} (only {allowed}): remove it, {ASK}.")
    return found


def paths_of_interest(policy: Policy, namespace: str, config: Mapping[str, Any]) -> list[str]:
    """The paths of which it matters where they really lead: the mounts', and those that the rule allows. Empty without mounts."""
    wanted = [str(mount.get("hostPath", "")) for _, mount in _all_mounts(config)]
    allowed = [text_of(entry.base) for entry in policy.rule_for(namespace).host_paths]
    return sorted({*wanted, *allowed}) if wanted else []


# --- mounts ----------------------------------------------------------------------------------------------------------------------


def _all_mounts(config: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for index, node in enumerate(config["nodes"]):
        for number, mount in enumerate(node.get("extraMounts") or []):
            yield f"spec.nodes[{index}].extraMounts[{number}].hostPath", mount


def _mounts(rule: Rule, namespace: str, config: Mapping[str, Any], real: Real, own: Sequence[Parts]) -> Iterator[str]:
    for field, mount in _all_mounts(config):
        path = str(mount.get("hostPath", ""))
        if parts_of(path) is None:
            yield f'{field}: {path} is no absolute path, or has "..": write the whole path.'
            continue
        places = [path, real[path]] if real.get(path, path) != path else [path]
        for place in places:
            if why := _refusal(parts_of(place) or (), mount, rule, real, own):
                leads = f" (it leads to {place})" if place != path else ""
                yield f"{field}: {path}{leads} {why.format(namespace=namespace)}, {ASK}."
                break


def _refusal(place: Parts, mount: Mapping[str, Any], rule: Rule, real: Real, own: Sequence[Parts]) -> str:
    """Why no entry of the rule allows it; empty when one does."""
    covering = [entry for entry in rule.host_paths if _covers(entry, place, real)]
    if not covering:
        allowed = ", ".join(entry.path for entry in rule.host_paths) or "none"
        return f"is not among what namespace {{namespace}} may mount ({allowed}): choose another path"
    special = list(exposed(place, own))
    named = [entry for entry in covering if all(_names(entry, place, one) for one in special)]
    if not named:
        return "shows folders of the system or credentials of the host: mount an ordinary folder"
    writable = [entry for entry in named if not entry.read_only or mount.get("readOnly")]
    if not writable:
        return "may be mounted only with readOnly: true: set it"
    if mount.get("propagation") == "Bidirectional" and not any(entry.bidirectional for entry in writable):
        return "may not be mounted with propagation: Bidirectional, by which a node mounts on the host: choose HostToContainer"
    return ""


def _bases(entry: HostPath, real: Real) -> list[Parts]:
    """Where an allowed folder is: by its name, and where that really leads."""
    leads = parts_of(real.get(text_of(entry.base), ""))
    return [entry.base] if leads is None else [entry.base, leads]


def _covers(entry: HostPath, place: Parts, real: Real) -> bool:
    return any(is_within(place, base) and not (entry.only_below and place == base) for base in _bases(entry, real))


def _names(entry: HostPath, place: Parts, special: Parts) -> bool:
    """Whether an entry that covers a place was meant for what is special there: by its name, not by where that leads, it lies in that."""
    return any(is_within(base, special) and is_within(place, base) for base in (entry.base, without_alias(entry.base)))


# --- images, ports, patches ------------------------------------------------------------------------------------------------------


def _images(rule: Rule, namespace: str, config: Mapping[str, Any], image: str | None) -> Iterator[str]:
    named = {f"spec.nodes[{index}].image": node["image"] for index, node in enumerate(config["nodes"]) if node.get("image")}
    if image and len(named) < len(config["nodes"]):
        named = {"spec.image": image, **named}
    for field, name in named.items():
        if not any(fnmatch.fnmatchcase(_full(name), _full(pattern)) for pattern in rule.images):
            allowed = ", ".join(rule.images) or "none"
            yield f"{field}: namespace {namespace} may not use image {name} (only {allowed}): choose another one, {ASK}."


def _full(name: str) -> str:
    """An image's name, or a pattern of names, with its registry; what begins with "*" may have any."""
    first, slash, _ = name.partition("/")
    registry = "." in first or ":" in first or first == "localhost" or first != first.lower()
    if name.startswith("*") or (slash and registry):
        return name
    return (REGISTRY if slash else LIBRARY) + name


def _ports(rule: Rule, namespace: str, config: Mapping[str, Any]) -> Iterator[str]:
    wanted = {"spec.networking.apiServerPort": (config.get("networking") or {}).get("apiServerPort")}
    for index, node in enumerate(config["nodes"]):
        for number, mapping in enumerate(node.get("extraPortMappings") or []):
            wanted[f"spec.nodes[{index}].extraPortMappings[{number}].hostPort"] = mapping.get("hostPort")
    ranges = [range(int(first), int(last or first) + 1) for first, _, last in (text.partition("-") for text in rule.host_ports)]
    for field, port in wanted.items():
        if port and port > 0 and not any(port in one for one in ranges):
            allowed = ", ".join(rule.host_ports) or "none"
            yield f"{field}: namespace {namespace} may not use host port {port} (only {allowed}): choose another one or none, {ASK}."


def _patches(rule: Rule, namespace: str, config: Mapping[str, Any]) -> Iterator[str]:
    holders = [("spec.", config), *((f"spec.nodes[{index}].", node) for index, node in enumerate(config["nodes"]))]
    for path, holder in holders:
        for field, whose in PATCHES.items():
            if holder.get(field) and whose not in rule.patches:
                yield f"{path}{field}: namespace {namespace} may not patch the configuration of {whose}: remove it, {ASK}."
