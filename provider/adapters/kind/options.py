"""What the manager's settings mean to the runtime `kind`. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from provider.adapters.kind.shared_registry import RegistryOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class KindOptions:
    """What the manager's settings mean to this runtime."""

    state_dir: Path
    """Private folder of the manager: locks/, volumes/, scratch/ and the record of the engine chosen."""
    environment: Mapping[str, str]
    """The manager's environment, of which engine and kind see a part (adapters.engine.choice.child_environment)."""
    engine: str = "auto"
    kind_binary: str = "kind"
    in_pod: bool = False
    """The manager runs in a pod: paths, ports and limits it sees are not those of the engine's host."""
    engine_timeout: float = 20.0
    """Seconds that a question to the engine may take; verbs that wait for containers get more."""
    finish_timeout: float = 6.0
    """Seconds that engine commands get to finish making a container after kind has ended: then what was observed stays true."""
    recheck: float = 0.3
    """Seconds after a removal before an empty listing is believed: the engine may still have been making a container."""
    listing_age: float = 1.0
    """Seconds that one listing of all containers serves several observers."""
    archives: Path | None = None
    """Folder of image archives (docker save), looked into where the engine lacks an image; None = there is none."""
    registry: RegistryOptions = field(default_factory=RegistryOptions)
    log_dir: Path | None = None
    """Where logs of failed creates are kept, one folder per cluster name, before their containers go; None = they are not."""
