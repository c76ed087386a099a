"""CEL rules of the CRDs: what must hold between several fields, and what one field must be where a pattern's refusal would be unreadable.

Each rule is written for the person who reads its message: which field, which value, what to do. Models name their rules themselves
(provider.api.model.validated_by); nothing here imports a model.

Rules are kept cheap: the API server multiplies the cost of a rule with the upper bounds of all lists around it and refuses a CRD that is
too expensive (Kubernetes apiextensions-apiserver, StaticEstimatedCostLimit). Only CEL functions of Kubernetes 1.31 are used (isIP and
isCIDR are the newest).

Where a field has a pattern too, the pattern is for editors and other tools, and the rule for its message.
Sources of what is refused: kind pkg/internal/apis/config/validate.go, kubeadm cmd/kubeadm/app/apis/kubeadm/validation, kubelet
cmd/kubelet/app/options (node labels), Cluster API contract "InfraCluster".
"""
