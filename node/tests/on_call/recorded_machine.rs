//! A machine as its `/proc` and `/sys` tell, written into a folder: one that nobody has tuned.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

/// Files of a badly tuned machine, by their path.
const BADLY_TUNED: [(&str, &str); 39] = [
    ("proc/sys/kernel/osrelease", "5.10.0-21-amd64\n"),
    ("proc/sys/kernel/io_uring_disabled", "2\n"),
    ("proc/sys/kernel/numa_balancing", "1\n"),
    ("proc/self/status", "Name:\tringmain\nSeccomp:\t2\nCpus_allowed_list:\t0-3\n"),
    (
        "proc/self/limits",
        "Limit                     Soft Limit           Hard Limit           Units     \n\
         Max open files            1024                 4096                 files     \n\
         Max locked memory         65536                65536                bytes     \n",
    ),
    ("proc/self/cgroup", "0::/system.slice/box.service\n"),
    ("sys/fs/cgroup/system.slice/box.service/cpu.max", "150000 100000\n"),
    ("proc/self/mountinfo", "27 1 8:17 / / rw,relatime - ext4 /dev/sdb1 rw,nobarrier\n"),
    ("proc/meminfo", "MemTotal:        1000000 kB\nMemFree:          500000 kB\n"),
    ("proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n/dev/sda2 partition 8388604 0 -2\n"),
    ("proc/sys/vm/swappiness", "60\n"),
    ("proc/sys/vm/dirty_ratio", "20\n"),
    ("proc/sys/vm/dirty_bytes", "17179869184\n"),
    ("proc/sys/net/core/rmem_max", "212992\n"),
    ("proc/sys/net/core/wmem_max", "212992\n"),
    ("proc/sys/net/core/somaxconn", "128\n"),
    ("proc/sys/net/ipv4/ip_local_port_range", "1024\t65000\n"),
    (
        "proc/net/tcp",
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
         \x20  0: 00000000:2384 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 777 1 0 100 0 0 10 0\n",
    ),
    ("proc/4321/comm", "java\n"),
    (
        "proc/interrupts",
        "            CPU0       CPU1       CPU2       CPU3\n\
         \x20 36:    9000000          0          0          7   PCI-MSI 1-edge      eth0-rx\n\
         LOC:   38742577   29019832          1          1   Local timer interrupts\n",
    ),
    ("sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n"),
    ("sys/kernel/mm/transparent_hugepage/defrag", "[always] defer madvise never\n"),
    ("sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet\n"),
    ("sys/devices/system/clocksource/clocksource0/available_clocksource", "tsc hpet acpi_pm\n"),
    ("sys/devices/system/cpu/online", "0-3\n"),
    ("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n"),
    ("sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "powersave\n"),
    ("sys/devices/system/node/online", "0-1\n"),
    ("sys/devices/system/node/node0/cpulist", "0-1\n"),
    ("sys/devices/system/node/node1/cpulist", "2-3\n"),
    ("sys/devices/pci/block/sdb/sdb1/partition", "1\n"),
    ("sys/devices/pci/block/sdb/queue/scheduler", "none mq-deadline [bfq]\n"),
    ("sys/devices/pci/block/sdb/queue/write_cache", "write through\n"),
    ("sys/devices/pci/block/sdb/queue/rotational", "1\n"),
    ("sys/devices/pci/block/sdb/queue/nr_requests", "32\n"),
    ("sys/devices/pci/block/sdb/device/model", "ST4000NM0035\n"),
    ("sys/devices/pci/block/sdb/device/vendor", "ATA\n"),
    ("sys/devices/pci/block/sdb/device/scsi_disk/0:0:0:0/cache_type", "write back\n"),
    (
        "etc/ringmain/ringmain.toml",
        "data_dir = \"DATA\"\nshards = 4\n[network]\nlisten = \"0.0.0.0:9092\"\nadvertised = \"localhost:9092\"\n",
    ),
];

/// Writes it below `root`; its data directory is `data`.
pub(crate) fn write_badly_tuned(root: &Path, data: &Path) {
    for (path, content) in BADLY_TUNED {
        let path = root.join(path);
        fs::create_dir_all(path.parent().expect("below the root")).expect("a folder can be made");
        let content = content.replace("DATA", data.to_str().expect("the tests' paths are UTF-8"));
        fs::write(&path, content).expect("a file can be written");
    }
    let links =
        [("sys/dev/block/8:17", "../../devices/pci/block/sdb/sdb1"), ("proc/4321/fd/5", "socket:[777]")];
    for (path, target) in links {
        let path = root.join(path);
        fs::create_dir_all(path.parent().expect("below the root")).expect("a folder can be made");
        symlink(target, &path).expect("a link can be made");
    }
}
