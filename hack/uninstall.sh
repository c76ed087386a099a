#!/bin/bash
# Remove the CRDs from the cluster of the current kubeconfig. With them Kubernetes would delete every object of theirs, and wait for the
# manager to remove the clusters; so it is refused while there are objects, instead of hanging where no manager runs.
#
#   hack/uninstall.sh FOLDER            FOLDER: the kustomization of the CRDs; kubectl is on PATH
set -euo pipefail
resource=kindclusters.infrastructure.cluster.x-k8s.io
# Every kind is listed, not only this one: an API server opens the storage of a kind with the first request for it. If that first request
# is its own, while it deletes the CRD, it fails with "storage is (re)initializing", is not made again, and the CRD stays for ever
# (seen with Kubernetes 1.34.4, once in 14 times).
crds=$(kubectl get --ignore-not-found -o name -k "$1")
for crd in $crds; do
  objects=$(kubectl get "${crd#*/}" --all-namespaces --no-headers --ignore-not-found)
  if [ "${crd#*/}" = "$resource" ] && [ -n "$objects" ]; then
    printf '%s\n\nThese clusters still exist. While the manager runs: kubectl delete %s --all --all-namespaces\n' "$objects" "$resource" >&2
    exit 1
  fi
done
kubectl delete --ignore-not-found --timeout=2m -k "$1"
