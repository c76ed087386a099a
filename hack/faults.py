"""The faults that this provider has to survive, by number, and the invariants that hold meanwhile. Tests name them: `pytest.mark.fault`.

A row without a test needs a reason why (`untested`); hack/reliability.py checks that it has one or the other, and makes the page.
"""

from __future__ import annotations

from typing import NamedTuple


class Fault(NamedTuple):
    """`untested`: why no test makes it, where none does."""

    text: str
    untested: str = ""


INVARIANTS = {
    "I1": "Once the fault is over, the object becomes Ready, or terminal with a reason, and stays so.",
    "I2": "Nothing is left when no object is left: containers, volumes, files, Secrets.",
    "I3": "What is not ours is not touched.",
    "I4": "At most one cluster for one identity.",
    "I5": "Nothing is made before finalizer and identity are persisted.",
    "I6": "The finalizer goes only after absence was observed.",
    "I7": "An error is not absence: nothing is deleted, made again or called NotReady because a look failed.",
    "I8": "Nothing is written while nothing changes.",
    "I9": "Paused or managed by somebody else: no effect at all.",
    "I10": "The endpoint is written once and the published kubeconfig works.",
    "I11": "Secrets appear in no log, Event, condition, argument or file of others.",
    "I12": "One broken object delays no other.",
    "I13": "The end is that of the undisturbed run, with as many creates and deletes.",
    "I14": "Memory, descriptors, threads and children are bounded; the process lives on.",
    "I15": "What is installed, granted and documented is what the code needs and has: no more, no less.",
}

FAULTS = {
    1: Fault("manager killed at every effect of making a cluster"),
    2: Fault("manager killed at every effect of a repair, an update, a delete, a move"),
    3: Fault("manager killed during a real `kind create`"),
    4: Fault("SIGTERM while creating, eviction"),
    5: Fault("two managers at once"),
    6: Fault("stale read: the API answers from the past"),
    7: Fault("missed events"),
    8: Fault("a watch that is silent"),
    9: Fault("409 to writes"),
    10: Fault("429 with Retry-After, 500, 503"),
    11: Fault("API server away, restarted"),
    12: Fault("etcd slow or halted"),
    13: Fault("a write is done and its answer lost"),
    14: Fault("a part of the containers exists"),
    15: Fault("the name is taken by a cluster of somebody else"),
    16: Fault("two objects that claim one name"),
    17: Fault("create succeeds and says that it failed; says success and made nothing"),
    18: Fault("the engine answers with errors, not in time, or with nonsense"),
    19: Fault("kind hangs"),
    20: Fault("a node container killed, stopped, paused, removed"),
    21: Fault("the engine is down or its socket is gone"),
    22: Fault("other addresses after a restart"),
    23: Fault("disk full"),
    24: Fault("limits of the host: memory, processes, inotify"),
    25: Fault("node image missing, refused, unreachable"),
    26: Fault("kubeconfig corrupt, empty, hostile; a stale lock beside it"),
    27: Fault("malformed and odd objects"),
    28: Fault("spec edited while the cluster is made; immutable field edited"),
    29: Fault("deleted while the cluster is made"),
    30: Fault("deleted when already gone, without owner, with a bad spec"),
    31: Fault("a delete that fails"),
    32: Fault("finalizers, owner references, status or annotations stripped"),
    33: Fault("paused at any phase; deleted while paused"),
    34: Fault("clusterctl move, there and back"),
    35: Fault("backup and restore: another uid, no status"),
    36: Fault("namespace deleted; CRDs missing; manager absent"),
    37: Fault("managed by somebody else; a finalizer of somebody else"),
    38: Fault("another version of the manager takes over"),
    39: Fault("the clock jumps"),
    40: Fault("many objects, one of them broken"),
    41: Fault("random faults together"),
    42: Fault("a look for secrets wherever text ends up"),
    43: Fault("permissions: none too many, none missing"),
    44: Fault("objects of somebody who wants the host"),
    45: Fault("injection by arguments, paths, documents"),
    46: Fault("supply chain: what is installed is what was locked"),
    47: Fault("posture of the manifests"),
    48: Fault("documents that do not follow the code"),
}
