"""Which fault makes which check fail, and what the check has to say then."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    name: str
    """`spec.fault` of the fake's objects, or the kind of a definition that has a fault."""
    check: str
    """Test of the kit, without its file: unique by name. With its parameters where it has some."""
    says: str
    """Regular expression that the report of the failure has to match."""
    before: str = ""
    """Another test that has to run before it (and passes)."""
    seconds: tuple[tuple[str, float], ...] = ()
    """Differences to the kit's patience in this run."""


HASTY = (("available", 20.0), ("deleted", 10.0))
UNTIL_IT_SHOWS = (("stable", 120.0),)
"""For a fault that the check sees as soon as it happens: on a busy machine the fake's next pass may be long in coming."""

BEHAVIOUR = [
    Fault(
        "initialized-before-the-kubeconfig",
        "test_the_kubeconfig_is_there_before_the_control_plane_is_called_initialized",
        "kubeconfig Secret was written after",
    ),
    Fault(
        "initialized-before-the-api-answers",
        "test_the_workload_api_answers_when_the_control_plane_is_called_initialized",
        "did not answer at that moment",
    ),
    Fault(
        "provisioned-without-an-endpoint",
        "test_the_endpoint_is_known_when_the_infrastructure_is_provisioned",
        "without an endpoint",
    ),
    Fault("takes-provisioned-back", "test_what_is_provisioned_stays_provisioned", r"write by write: .*True, False"),
    Fault("forgets-a-contract", "test_every_contract_that_is_promised_is_kept", "promises v1beta1, but its status.ready is None"),
    Fault("opaque-secret", "test_the_kubeconfig_secret_has_its_shape", "Opaque"),
    Fault("mislabelled-secret", "test_the_kubeconfig_secret_has_its_shape", "label cluster.x-k8s.io/cluster-name is wrong"),
    Fault("unowned-secret", "test_the_kubeconfig_secret_has_its_shape", "owned neither by the Cluster nor"),
    Fault("plugin-in-kubeconfig", "test_the_kubeconfig_secret_has_its_shape", "credentials that come from a program"),
    Fault(
        "dies-later",
        "test_get_kubeconfig_prints_one_that_works",
        "the workload cluster does not answer: ",
        before="test_nothing_is_written_while_nothing_changes",
    ),
    Fault(
        "never-initialized",
        "test_the_cluster_is_available_with_an_empty_message",
        "Available should be True with an empty",
        seconds=HASTY,
    ),
    Fault("a-bad-row", "test_describe_shows_nothing_that_is_not_good", "not good: .*Licensed False"),
    Fault("talks-when-all-is-well", "test_objects_report_their_conditions[FakeCluster", "All is well", seconds=HASTY),
    Fault("miscounts", "test_the_cluster_shows_what_its_control_plane_counts", "should all be the same number"),
    Fault(
        "no-paused-condition", "test_objects_report_their_conditions[FakeCluster", "Paused should be False NotPaused, is absent"
    ),
    Fault("no-reason", "test_objects_report_their_conditions[FakeCluster", "conditions without a reason"),
    Fault("no-finalizer", "test_objects_keep_what_core_has_written[FakeCluster", "no finalizer: nothing keeps"),
    Fault("deaf-to-pauses", "test_a_pause_is_reported_and_so_is_its_end[by the Cluster", "Paused should be True Paused"),
    Fault("only-true-pauses", "test_a_pause_is_reported_and_so_is_its_end[by the annotation", "Paused should be True Paused"),
    Fault("never-resumes", "test_a_pause_is_reported_and_so_is_its_end[by both", "Paused should be False NotPaused"),
    Fault("works-while-paused", "test_nothing_is_done_while_paused[by both", "Secret was written while paused"),
    Fault("writes-while-paused", "test_nothing_is_done_while_paused[by the Cluster", "changed while paused: Fake"),
    Fault(
        "makes-it-anew-while-paused",
        "test_nothing_is_done_while_paused[by the annotation",
        "has lost what was in it|written while paused",
    ),
    Fault("makes-while-paused", "test_nothing_is_made_while_paused[by the annotation", "there is a kubeconfig Secret|says"),
    Fault("owns-secrets-once", "test_owner_references_that_were_stripped_come_back", "Secret .*-kubeconfig has lost its owners"),
    Fault("adds-finalizers-once", "test_finalizers_that_were_stripped_come_back", "has lost its finalizers"),
    Fault("makes-it-anew-after-finalizers-were-lost", "test_finalizers_that_were_stripped_come_back", "has lost what was in it"),
    Fault("heartbeat", "test_nothing_is_written_while_nothing_changes", "still written: FakeCluster/", seconds=UNTIL_IT_SHOWS),
    Fault("deletes-in-a-move", "test_a_move_there_and_back_touches_nothing", "has lost what was in it"),
    Fault("makes-it-anew-after-a-move", "test_a_move_there_and_back_touches_nothing", "has lost what was in it"),
    Fault("never-rebuilds-status", "test_a_move_there_and_back_touches_nothing", "not Available after the move", seconds=HASTY),
    Fault("never-lets-go", "test_a_deleted_cluster_goes_away", "is not gone, there is still Fake", seconds=HASTY),
    Fault(
        "lets-go-too-early", "test_the_workload_cluster_is_gone_before_its_object", "still answered when the object was let go"
    ),
    Fault("leaves-the-secret", "test_nothing_is_left_of_a_deleted_cluster", "left: Secret/"),
    Fault("deletes-silently", "test_a_deletion_is_reported[FakeCluster", "Ready while being deleted"),
    Fault("deletes-while-paused", "test_a_deletion_waits_for_the_end_of_a_pause", "let go while paused: Fake"),
    Fault("works-without-a-cluster", "test_an_object_without_a_cluster_makes_nothing", "there is a kubeconfig Secret|says"),
    Fault("touches-what-others-manage", "test_what_another_controller_manages_is_left_alone", "was written to|there is a"),
]

DEFINITIONS = [
    Fault("MisnamedCluster", "test_the_definition_has_the_name_that_core_derives", "misnamedclusters"),
    Fault("UnboundCluster", "test_objects_live_in_namespaces", "Namespaced"),
    Fault("ListlessCluster", "test_the_list_kind_is_that_of_the_kind", "FakeItems"),
    Fault("UnlabelledCluster", "test_a_label_names_versions_for_a_contract", "no label cluster.x-k8s.io/v1beta2"),
    Fault("UnservedCluster", "test_a_label_names_versions_for_a_contract", "but not served.*v9"),
    Fault("UnmovableCluster", "test_labels_let_clusterctl_find_it", "labels missing: .*clusterctl.cluster.x-k8s.io"),
    Fault("ElsewhereCluster.example.com", "test_core_may_use_its_objects", "no ClusterRole with .*aggregate-to-manager"),
    Fault("StatuslessCluster", "test_status_is_a_subresource", "versions without the subresource status"),
    Fault("LooseCluster", "test_conditions_have_the_schema_of_conditions", "any reason goes"),
    Fault("TextCluster", "test_what_core_reads_has_the_types_that_it_expects", "provisioned should be a boolean, is string"),
    Fault("MappedCluster", "test_failure_domains_are_a_list_by_name", "failureDomains is a object, not a list"),
    Fault("UncountedCluster", "test_what_can_be_scaled_is_counted", "counters are missing"),
    Fault("UnversionedCluster", "test_versions_have_the_shape_that_core_reads", "versions is a string, not a list"),
    Fault("HollowTemplate", "test_a_template_holds_an_object", "no spec.template.spec"),
]
