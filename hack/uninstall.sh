#!/bin/bash
# Remove the CRDs from the cluster of the current kubeconfig. With them Kubernetes would delete every object of theirs, and wait for the
# manager to remove the clusters; so it is refused while there are objects, instead of hanging where no manager runs.
#
#   hack/uninstall.sh FOLDER            FOLDER: the kustomization of the CRDs; kubectl is on PATH
set -euo pipefail
resource=kindclusters.infrastructure.cluster.x-k8s.io
if kubectl get crd "$resource" >/dev/null 2>&1; then
  left=$(kubectl get "$resource" --all-namespaces --no-headers --ignore-not-found)
  if [ -n "$left" ]; then
    printf '%s\n\nThese clusters still exist. While the manager runs: kubectl delete %s --all --all-namespaces\n' "$left" "$resource" >&2
    exit 1
  fi
fi
kubectl delete --ignore-not-found -k "$1"
