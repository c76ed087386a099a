#!/usr/bin/env bash
# From a bare management cluster (the current kubeconfig) to a workload cluster and back, with clusterctl. Run it in a checkout:
#
#     docs/howto/clusterctl.sh
#
# Needs kubectl and clusterctl. What it installs stays; the cluster that it makes goes. Variables:
#   NAME=demo                    of the cluster, in the namespace of the current context
#   FLAVOR=                      of the template: development, ha, local, topology (docs/howto/clusterctl.md)
#   KUBERNETES_VERSION=v1.34.4   of the cluster; with kind, an image kindest/node of it must exist
#   RELEASE=out/release          where the artifacts of the release go
#   CLUSTERCTL_CONFIG=           a configuration of your own that names the provider; else the one among the artifacts
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "$0")/../.."

NAME=${NAME:-demo}
FLAVOR=${FLAVOR:-}
RELEASE=${RELEASE:-out/release}
CLUSTERCTL_CONFIG=${CLUSTERCTL_CONFIG:-$RELEASE/clusterctl.yaml}
export KUBERNETES_VERSION=${KUBERNETES_VERSION:-v1.34.4}

clusterctl() { command clusterctl --config "$CLUSTERCTL_CONFIG" "$@"; }
step() { printf '\n• %s\n' "$*" >&2; }

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

step "Installing Cluster API and this provider"
make release-artifacts RELEASE="$RELEASE"
clusterctl init --infrastructure kind --bootstrap - --control-plane - --wait-providers

step "Creating the cluster $NAME"
clusterctl generate cluster "$NAME" --infrastructure kind ${FLAVOR:+--flavor "$FLAVOR"} | kubectl apply -f -
kubectl wait --for=condition=Available --timeout=10m "cluster/$NAME"
clusterctl describe cluster "$NAME" --show-conditions all

step "Using it"
(umask 077 && clusterctl get kubeconfig "$NAME" >"$folder/kubeconfig")
kubectl --kubeconfig "$folder/kubeconfig" wait --for=condition=Ready --timeout=5m node --all
kubectl --kubeconfig "$folder/kubeconfig" get nodes

step "Deleting it"
kubectl delete cluster "$NAME" --timeout=5m

step "What is left of it"
left=$(
    kubectl get "cluster/$NAME" "kindcluster/$NAME" --ignore-not-found -o name
    kubectl get secrets -l "cluster.x-k8s.io/cluster-name=$NAME" -o name
    if command -v docker >/dev/null && docker info >/dev/null 2>&1; then # the manager's engine, where that is this machine's
        docker ps -a --filter "label=io.x-k8s.kind.cluster=$NAME" --format 'container {{.Names}}'
    fi
)
[ -z "$left" ] || { echo "$left" >&2 && exit 1; }
echo nothing
