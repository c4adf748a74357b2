"""Alerts of clusters and machines by name: kubernetes-mixin, node-mixin and etcd. See `known_alerts`."""

from alert_history.enrichers.families import Family

NODES: tuple[tuple[str, Family], ...] = (
    (
        "NodeFilesystemReadOnly HostDiskReadOnly",
        Family(
            "storage",
            "critical",
            "a filesystem is mounted read-only",
            "The kernel has seen errors of the disk and protects what is left.",
            (
                "Read the kernel's log: dmesg -T",
                "Move the load away: kubectl drain, or a failover.",
                "Check the disk (smartctl -a) before it is mounted for writing again.",
            ),
            is_fault=True,
            at_least="critical",
        ),
    ),
    (
        "NodeRAIDDegraded NodeRAIDDiskFailure NodeDiskFailure",
        Family(
            "storage",
            "critical",
            "a disk has failed, and the next one takes the data along",
            "A disk of the array is broken or was taken out.",
            (
                "Find the disk: cat /proc/mdstat, mdadm --detail",
                "Check that there is a fresh backup.",
                "Replace the disk, and watch the rebuild.",
            ),
            is_fault=True,
        ),
    ),
    (
        "HostOomKillDetected NodeMemoryOomKill KernelOomKill",
        Family(
            "memory",
            "warning",
            "the kernel killed a process for lack of memory",
            "A container over its limit, or a node with more promised than it has.",
            (
                "See who was killed: dmesg -T | grep -i oom",
                "Compare its limit with its working set of the last days.",
                "Give it more memory, or find the leak.",
            ),
            is_fault=True,
        ),
    ),
    (
        "NodeCPUHighUsage NodeSystemSaturation HostHighCpuLoad",
        Family(
            "capacity",
            "info",
            "a machine is busy",
            "A job, more load, or a process that runs away.",
            (
                "See who uses it: top, pidstat 5",
                "Do nothing if users notice nothing.",
            ),
        ),
    ),
    (
        "NodeMemoryMajorPagesFaults NodeMemoryHighUtilization",
        Family(
            "memory",
            "warning",
            "a machine is short of memory",
            "Something grew, or too much was put on it.",
            (
                "Find what grew: ps aux --sort=-rss",
                "Move something away, or restart what leaks.",
            ),
        ),
    ),
    (
        "NodeHighNumberConntrackEntriesUsed",
        Family(
            "network",
            "warning",
            "the table of connections is nearly full",
            "Many short connections, an attack, or a limit that is too low.",
            (
                "See who opens them: conntrack -S, ss -s",
                "Raise net.netfilter.nf_conntrack_max.",
            ),
            is_fault=True,
        ),
    ),
    (
        "NodeSystemdServiceFailed NodeSystemdServiceCrashlooping",
        Family(
            "availability",
            "warning",
            "a service of the system has failed",
            "It crashed, or what it needs is missing.",
            (
                "Read why: systemctl status, journalctl -u",
                "Restart it, and see whether it stays up.",
            ),
            is_fault=True,
        ),
    ),
    (
        "NodeRebootRequired RebootRequired",
        Family(
            "other",
            "info",
            "a machine wants a reboot",
            "An update of the kernel or a library is installed and not in use.",
            ("Reboot it in the next window for maintenance, after a drain.",),
        ),
    ),
)

KUBERNETES: tuple[tuple[str, Family], ...] = (
    (
        "CPUThrottlingHigh",
        Family(
            "capacity",
            "info",
            "a container meets its CPU limit",
            "The limit is low for bursts. By itself it hurts nobody.",
            (
                "Look at the latency of the service: without harm there, do nothing.",
                "Else raise the CPU limit, or leave only the request.",
            ),
            at_most="info",
        ),
    ),
    (
        "KubeCPUOvercommit KubeMemoryOvercommit KubeCPUQuotaOvercommit KubeMemoryQuotaOvercommit",
        Family(
            "capacity",
            "info",
            "the cluster could not stand the loss of a node",
            "More is requested than would be left without the largest node.",
            (
                "Plan another node, or lower requests that are never used.",
                "Compare requests with use: kubectl top pods -A",
            ),
            at_most="info",
        ),
    ),
    (
        "KubeQuotaAlmostFull KubeQuotaFullyUsed KubeletTooManyPods",
        Family(
            "capacity",
            "info",
            "a quota or a node has no room for more",
            "What runs goes on; what is new has to go elsewhere or wait.",
            (
                "See what uses it: kubectl -n {namespace} describe quota",
                "Raise it if the team needs more, or remove what is left over.",
            ),
        ),
    ),
    (
        "KubeVersionMismatch",
        Family(
            "control plane",
            "info",
            "components of Kubernetes differ in version",
            "An upgrade is under way, or one was left half done.",
            ("Finish the upgrade; look again if it stays for days.",),
            at_most="info",
        ),
    ),
    (
        "KubeNodeEviction KubePodEvicted",
        Family(
            "capacity",
            "info",
            "a node moves pods away",
            "It is short of memory or disk, and does what it is meant to do.",
            (
                "See what it is short of: kubectl describe node",
                "Give the pods requests that fit what they use.",
            ),
        ),
    ),
    (
        "KubeNodeNotReady KubeNodeUnreachable KubeNodeReadinessFlapping",
        Family(
            "availability",
            "warning",
            "a node is lost or comes and goes",
            "Its kubelet, network, disk or memory is not well.",
            (
                "Read its conditions: kubectl describe node",
                "Read its kubelet: journalctl -u kubelet",
                "Cordon and drain it if it comes and goes.",
                "Check that what ran there has come up elsewhere.",
            ),
            is_fault=True,
        ),
    ),
    (
        "KubeJobFailed KubeJobNotCompleted KubeJobCompletion KubeCronJobRunning",
        Family(
            "workload",
            "warning",
            "a job did not do its work",
            "It failed, hangs, or waits for resources.",
            (
                "Read its log: kubectl -n {namespace} logs job/{job_name}",
                "Find out what now lacks, such as a report or a backup.",
                "Run it again when the cause is gone, then delete the failed one.",
            ),
            is_fault=True,
        ),
    ),
    (
        "KubeHpaMaxedOut KubeHpaReplicasMismatch",
        Family(
            "capacity",
            "warning",
            "the autoscaler can't add more",
            "More load than planned, or pods that got slower.",
            (
                "Compare load and latency with yesterday.",
                "Raise maxReplicas if the nodes have room: kubectl -n {namespace} get hpa",
                "Look for a release that made each request dearer.",
            ),
        ),
    ),
    (
        "PodRestarted ContainerRestarted KubePodRestarted",
        Family(
            "workload",
            "warning",
            "a pod was restarted",
            "A crash, a failing probe, a memory limit, or a rollout. Kubernetes has healed it.",
            (
                "Read the container's last words: kubectl -n {namespace} logs {pod} --previous",
                "Look into it by day; by night only if it goes on.",
            ),
            is_fault=True,
            at_most="warning",
        ),
    ),
    (
        "KubePersistentVolumeFillingUp KubePersistentVolumeInodesFillingUp",
        Family(
            "storage",
            "warning",
            "a volume fills up",
            "Data, logs or a backlog of what writes to it; a database stops when it is full.",
            (
                "See what grew: kubectl -n {namespace} exec into the pod, du -xhd1",
                "Extend the claim if its class allows it: kubectl -n {namespace} edit pvc {persistentvolumeclaim}",
                "Estimate when it will be full at the present rate.",
            ),
            is_fault=True,
        ),
    ),
    (
        (
            "KubeAPIDown KubeAPIErrorBudgetBurn KubeAPITerminatedRequests KubeletDown KubeSchedulerDown KubeProxyDown"
            " KubeControllerManagerDown KubeClientErrors KubeAggregatedAPIDown"
        ),
        Family(
            "control plane",
            "critical",
            "Kubernetes can't be controlled, wholly or in part",
            "A component is down, overloaded, or only no longer scraped.",
            (
                "See whether it answers: kubectl get --raw='/readyz?verbose'",
                "Check etcd: its disks and its leader.",
                "Find the client that asks most: apiserver_request_total by user agent.",
                "Change no workloads until it is well again.",
            ),
            is_fault=True,
        ),
    ),
    (
        "etcdInsufficientMembers etcdNoLeader etcdMembersDown etcdDatabaseQuotaLowSpace",
        Family(
            "control plane",
            "critical",
            "etcd takes no writes, or is about to",
            "Members are lost, can't reach each other, or their disks are too slow or too full.",
            (
                "See who is up and who leads: etcdctl endpoint status --cluster -w table",
                "Check disk latency and space of the members.",
                "Make a snapshot before anything else: etcdctl snapshot save",
                "Bring members back one by one; never remove two.",
            ),
            is_fault=True,
            at_least="critical",
        ),
    ),
    (
        (
            "etcdHighFsyncDurations etcdHighCommitDurations etcdHighNumberOfLeaderChanges etcdMemberCommunicationSlow"
            " etcdDatabaseHighFragmentationRatio etcdExcessiveDatabaseGrowth"
        ),
        Family(
            "control plane",
            "warning",
            "etcd is slow or grows",
            "Its disk is slow or shared, or something writes too many objects.",
            (
                "Check disk latency: etcd_disk_wal_fsync_duration_seconds.",
                "Find what is written most: apiserver_storage_objects.",
                "Defragment one member at a time: etcdctl defrag",
            ),
            is_fault=True,
        ),
    ),
)
