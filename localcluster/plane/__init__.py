"""The control plane: etcd, kube-apiserver, controller manager, schedulers."""
