"""The actuator: the one process of malacoda's pod that may write cgroups of other pods.

It listens on a Unix socket for one peer, the monitor, and knows four acts: throttle, freeze, and
the undoing of both, on pods of this node, by UID. It keeps limits of its own, whatever the monitor
asks for. Every hold is on disk before the first write, and is undone at start, at SIGTERM, and when
the monitor is gone or silent. It has no capability, and uses no network.

Where to add
- an act: ``protocol.Verb``, its plan in ``plan``, its step in ``k40s.assurance.response.acts``;
- a limit: ``gate``; its setting: ``settings`` and the names in ``k40s.runtime.settings``;
- a cgroup file: ``kernel`` reads and writes it, ``plan`` says when, ``writes`` puts it back.
"""
