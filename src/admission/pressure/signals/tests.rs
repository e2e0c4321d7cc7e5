use tempfile::TempDir;

use super::*;

/// A made-up `/proc` and `/sys/fs/cgroup`.
struct Machine(TempDir);

impl Machine {
    /// With the lines of `/proc/self/cgroup`.
    fn new(cgroup: &str) -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        machine.write("proc/self/cgroup", cgroup);
        machine
    }

    fn write(&self, file: &str, text: &str) {
        let file = self.0.path().join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    fn signals(&self, descriptors: Option<u64>) -> SystemSignals {
        let root = self.0.path();
        SystemSignals::below(&root.join("proc"), &root.join("cgroup"), descriptors)
    }

    fn read(&self) -> Readings {
        self.signals(None).read()
    }
}

const STALLED: &str = "some avg10=20.00 avg60=0.00 avg300=0.00 total=1\n\
                       full avg10=5.00 avg60=0.00 avg300=0.00 total=1\n";

#[test]
fn a_machine_of_which_nothing_is_known_gives_no_reading_and_no_failure() {
    let empty = tempfile::tempdir().unwrap();
    let nowhere = empty.path().join("nowhere");
    let mut signals = SystemSignals::below(&nowhere, &nowhere, Some(100));
    assert_eq!(signals.read(), Readings::default());
}

#[test]
fn version_two_is_read_in_the_cgroup_of_the_process() {
    let machine = Machine::new("0::/edge/gateway\n");
    machine.write("cgroup/edge/gateway/memory.max", "1000\n");
    machine.write("cgroup/edge/gateway/memory.current", "900\n");
    machine.write(
        "cgroup/edge/gateway/memory.stat",
        "anon 500\ninactive_file 200\n",
    );
    machine.write("cgroup/edge/gateway/memory.pressure", STALLED);
    machine.write("cgroup/edge/gateway/cpu.pressure", STALLED);
    let readings = machine.read();
    assert_eq!(readings.memory, Some(0.7));
    assert_eq!(readings.memory_some, Some(0.2));
    assert_eq!(readings.memory_full, Some(0.05));
    assert_eq!(readings.cpu_some, Some(0.2));
    assert_eq!(readings.cpu_full, Some(0.05));
}

#[test]
fn a_tighter_limit_further_up_counts() {
    let machine = Machine::new("0::/edge/gateway\n");
    for (folder, limit, usage) in [("edge", "1000", "950"), ("edge/gateway", "max", "900")] {
        machine.write(&format!("cgroup/{folder}/memory.max"), limit);
        machine.write(&format!("cgroup/{folder}/memory.current"), usage);
    }
    assert_eq!(machine.read().memory, Some(0.95));
}

#[test]
fn version_one_is_read_with_its_own_files_and_names() {
    let machine = Machine::new("9:cpu,cpuacct:/box\n4:memory:/box\n0::/\n");
    machine.write("cgroup/memory/box/memory.limit_in_bytes", "2000\n");
    machine.write("cgroup/memory/box/memory.usage_in_bytes", "1800\n");
    machine.write(
        "cgroup/memory/box/memory.stat",
        "inactive_file 1\ntotal_inactive_file 300\n",
    );
    machine.write(
        "cgroup/cpu,cpuacct/box/cpu.stat",
        "nr_periods 100\nnr_throttled 10\nthrottled_time 5\n",
    );
    let mut signals = machine.signals(None);
    assert_eq!(signals.read().memory, Some(0.75));
    machine.write(
        "cgroup/cpu,cpuacct/box/cpu.stat",
        "nr_periods 110\nnr_throttled 16\nthrottled_time 5\n",
    );
    assert_eq!(signals.read().throttled, Some(0.6));
}

#[test]
fn a_container_that_sees_only_its_own_part_of_the_tree_is_read_at_the_mount() {
    let machine = Machine::new("4:memory:/docker/0123\n");
    machine.write("cgroup/memory/memory.limit_in_bytes", "100");
    machine.write("cgroup/memory/memory.usage_in_bytes", "40");
    assert_eq!(machine.read().memory, Some(0.4));
    let machine = Machine::new("0::/../../other\n");
    machine.write("cgroup/memory.max", "100");
    machine.write("cgroup/memory.current", "30");
    assert_eq!(machine.read().memory, Some(0.3));
}

#[test]
fn without_a_limit_memory_is_unknown() {
    let machine = Machine::new("4:memory:/\n");
    machine.write("cgroup/memory/memory.limit_in_bytes", "9223372036854771712");
    machine.write("cgroup/memory/memory.usage_in_bytes", "40");
    assert_eq!(machine.read().memory, None);
    let machine = Machine::new("0::/\n");
    machine.write("cgroup/memory.max", "max\n");
    machine.write("cgroup/memory.current", "40");
    assert_eq!(machine.read().memory, None);
}

#[test]
fn stalls_of_the_machine_count_for_memory_and_not_for_processors() {
    let machine = Machine::new("0::/\n");
    machine.write("proc/pressure/memory", STALLED);
    machine.write("proc/pressure/cpu", STALLED);
    let readings = machine.read();
    assert_eq!(readings.memory_some, Some(0.2));
    assert_eq!(readings.cpu_some, None);
}

#[test]
fn throttling_is_the_share_of_the_last_second_not_of_all_time() {
    let machine = Machine::new("0::/\n");
    let periods = |all: u64, throttled: u64| {
        let text = format!("usage_usec 1\nnr_periods {all}\nnr_throttled {throttled}\n");
        machine.write("cgroup/cpu.stat", &text);
    };
    periods(1_000, 1_000);
    let mut signals = machine.signals(None);
    let mut shares = vec![signals.read().throttled];
    for second in 1..=6 {
        periods(1_000 + second * 2, 1_000);
        shares.push(signals.read().throttled);
    }
    assert_eq!(shares[0], None);
    assert!(
        shares[1..].iter().all(|share| *share == Some(0.0)),
        "{shares:?}"
    );
    // A second ago, four readings, it stood at 1,006.
    periods(1_026, 1_010);
    assert_eq!(signals.read().throttled, Some(0.5));
    periods(3, 1); // another cgroup under the same name
    assert_eq!(signals.read().throttled, None);
}

#[test]
fn descriptors_are_counted_against_what_the_process_may_open() {
    let machine = Machine::new("");
    for number in 0..9 {
        machine.write(&format!("proc/self/fd/{number}"), "");
    }
    assert_eq!(machine.signals(Some(10)).read().descriptors, Some(0.9));
    assert_eq!(machine.signals(None).read().descriptors, None);
}

#[test]
fn the_kernels_own_count_of_descriptors_follows_what_is_open() {
    let count = || count(Path::new("/proc/self/fd")).unwrap();
    let before = count();
    let open: Vec<_> = (0..200).map(|_| tempfile::tempfile().unwrap()).collect();
    assert!(count() >= before + 150, "{before}, then {}", count());
    drop(open);
}

#[test]
fn this_machine_can_be_read() {
    let readings = SystemSignals::new().read();
    for (signal, value) in readings.known() {
        assert!(value.is_finite() && value >= 0.0, "{signal:?} {value}");
    }
}

#[test]
fn limits_of_both_versions_are_read_and_the_tightest_counts() {
    let machine = Machine::new("0::/edge/gateway\n");
    assert_eq!(machine.signals(Some(9)).limits().descriptors, Some(9));
    for (folder, memory, cpu) in [
        ("edge", "1000", "150000 100000"),
        ("edge/gateway", "max", "max 100000"),
    ] {
        machine.write(&format!("cgroup/{folder}/memory.max"), memory);
        machine.write(&format!("cgroup/{folder}/cpu.max"), cpu);
    }
    let limits = machine.signals(None).limits();
    assert_eq!((limits.memory, limits.processors), (Some(1000), Some(1.5)));
    let machine = Machine::new("9:cpu,cpuacct:/box\n4:memory:/box\n");
    machine.write("cgroup/memory/box/memory.limit_in_bytes", "2000\n");
    machine.write("cgroup/cpu/box/cpu.cfs_quota_us", "50000\n");
    machine.write("cgroup/cpu/box/cpu.cfs_period_us", "100000\n");
    let limits = machine.signals(None).limits();
    assert_eq!((limits.memory, limits.processors), (Some(2000), Some(0.5)));
    machine.write("cgroup/cpu/box/cpu.cfs_quota_us", "-1\n");
    assert_eq!(machine.signals(None).limits().processors, None);
}
