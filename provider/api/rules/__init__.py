"""What several fields of an object promise together, or one field better than a pattern can say it: CEL rules of the CRD.

Each rule is written for the person who reads its message: which field, which value, what to do. Models name their rules themselves
(provider.api.model.validated_by); nothing here imports a model.

Rules are kept cheap: the API server multiplies the cost of a rule with the upper bounds of all lists around it and refuses a CRD that is
too expensive (Kubernetes apiextensions-apiserver, StaticEstimatedCostLimit). Only CEL functions of Kubernetes 1.31 are used (isIP and
isCIDR are the newest).

Where a field has a pattern too, both speak: the pattern to editors and other tools, the rule to people.
Sources of what is refused: kind pkg/internal/apis/config/validate.go, kubeadm cmd/kubeadm/app/apis/kubeadm/validation, kubelet
cmd/kubelet/app/options (node labels), Cluster API contract "InfraCluster".
"""
