"""Options of the kit, the profile, the management clusters, and the cluster that most tests work with."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from capi_conformance import options
from capi_conformance.management import Access, Clusters, Host, Json, Management
from capi_conformance.profiles import BadProfile, GroupKind, Profile, Seconds
from capi_conformance.report import MARKER, Report
from capi_conformance.subject import PAUSED, Subject
from capi_conformance.supply import Provisioned, Supply

PROFILE = pytest.StashKey[Profile]()
NO_PROFILE = "no provider to test: name a profile"
NO_TEMPLATES = "the profile names no templates"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance", "conformance of a provider to Cluster API's contract")
    for option in options.ALL:
        group.addoption(option.for_pytest, type=option.type, help=option.help)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)
    path = config.getoption(options.PROFILE.for_pytest, None) or os.environ.get(options.PROFILE_VARIABLE)
    if not path:
        return
    try:
        profile = Profile.load(Path(path))
    except BadProfile as error:
        raise pytest.UsageError(str(error)) from error
    if stable := config.getoption(options.STABLE_SECONDS.for_pytest, None):
        profile = profile.with_stable(stable)
    config.stash[PROFILE] = profile
    config.pluginmanager.register(Report(profile, config.getoption(options.REPORT.for_pytest, None)))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`kind`: all with a definition to look at; `instance`: those that the provider reconciles; `template`: those of a ClusterClass."""
    profile = metafunc.config.stash.get(PROFILE, None)
    kinds = (*profile.kinds, *profile.templates) if profile else ()
    instances = profile.kinds if profile else ()
    templates = (profile.templates if profile else ()) or (pytest.param(None, marks=pytest.mark.skip(reason=NO_TEMPLATES)),)
    for argument, values in (("kind", kinds), ("instance", instances), ("template", templates)):
        if argument in metafunc.fixturenames:
            metafunc.parametrize(argument, values, ids=str)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A test has as long as the profile is patient; the limits inside are what fails."""
    here = [item for item in items if item.path.is_relative_to(Path(__file__).parent)]
    profile = config.stash.get(PROFILE, None)
    for item in here:
        item.add_marker(pytest.mark.timeout(_limit(profile.seconds)) if profile else pytest.mark.skip(reason=NO_PROFILE))


def _limit(seconds: Seconds) -> float:
    """For what takes longest: a cluster is made, moved twice, and deleted; and the host's own time."""
    return 300.0 + 3 * seconds.available + 3 * seconds.deleted + seconds.settled + seconds.stable


@pytest.fixture(scope="session")
def profile(pytestconfig: pytest.Config) -> Profile:
    return pytestconfig.stash[PROFILE]


@pytest.fixture(scope="session")
def clusters(pytestconfig: pytest.Config, profile: Profile) -> Iterator[Clusters]:
    """Of the command line, else of the profile's host, else the one that kubectl would use."""
    given: Path | None = pytestconfig.getoption(options.KUBECONFIG.for_pytest)
    target: Path | None = pytestconfig.getoption(options.TARGET_KUBECONFIG.for_pytest)
    if given is None and profile.host:
        host: Host = importlib.import_module(profile.host)
        with host.clusters(**profile.host_arguments) as clusters:
            yield clusters
        return
    home = given or Path(os.environ.get("KUBECONFIG") or Path.home() / ".kube" / "config")
    yield Clusters(Access(home), Access(target) if target else None)


@pytest.fixture(scope="session")
def home(clusters: Clusters, profile: Profile) -> Iterator[Management]:
    """The management cluster where everything starts, with a namespace for the kit."""
    with Management.reached(clusters.home) as management:
        made = _make_namespace(management, profile.namespace)
        yield management
        if made:
            management.kubectl("delete", "namespace", profile.namespace, "--wait=false")


@pytest.fixture(scope="session")
def target(clusters: Clusters, profile: Profile) -> Iterator[Management]:
    """The management cluster that clusters are moved to."""
    if clusters.target is None:
        pytest.skip("no second management cluster to move to")
    with Management.reached(clusters.target) as management:
        made = _make_namespace(management, profile.namespace)
        yield management
        if made:
            management.kubectl("delete", "namespace", profile.namespace, "--wait=false")


@pytest.fixture(scope="session")
def supply(home: Management, profile: Profile, clusters: Clusters) -> Iterator[Supply]:
    supply = Supply(home, profile)
    yield supply
    supply.clear(home)
    if clusters.target is not None:
        with Management.reached(clusters.target) as management:
            supply.clear(management)


@pytest.fixture
def provisioned(supply: Supply) -> Iterator[Provisioned]:
    """A cluster that is Available. What a test does to it, it undoes."""
    provisioned = supply.living()
    yield provisioned
    subject = provisioned.subject
    if not subject.cluster():
        supply.used_up()
        return
    subject.pause(False)
    subject.annotate(PAUSED, None)
    try:
        subject.wait_available()
    except AssertionError:
        supply.used_up()


@pytest.fixture
def subject(provisioned: Provisioned) -> Subject:
    return provisioned.subject


@pytest.fixture
def definition(kind: GroupKind, home: Management) -> Json:
    """The CustomResourceDefinition of the kind."""
    return home.definition(kind)


def _make_namespace(management: Management, name: str) -> bool:
    """Whether it was not there."""
    return management.kubectl("create", "namespace", name, check=False).returncode == 0
