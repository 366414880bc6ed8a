"""A real Kubernetes for tests and people: API server, node, containers, on loopback, gone without a trace.

``scripts/setup-cluster`` builds its programs once; from there:

- ``programs`` says what the machine has, ``places`` lends each cluster a number, and from it folder, ports, addresses;
- ``keeper`` is the parent of all its processes, ``processes`` the line to it, ``remains`` what is removed at the end;
- ``control`` starts etcd and the API server, ``node`` containerd and kubelet, ``images`` makes what they run;
- ``running`` is the cluster as one object, ``acting`` a pod in it, ``pods`` its text, ``kubectl`` and ``api`` callers;
- ``fixtures`` gives tests the one cluster of their run.

Each cluster has its own ports, folder, cgroup, pod network and, with a node, its own processes and mounts in
namespaces; several on one machine do not see each other. When the process that started it ends, in whatever way, its
keeper ends all the rest; when even the keeper is killed, the kernel does, and the next cluster removes what is left.
"""
