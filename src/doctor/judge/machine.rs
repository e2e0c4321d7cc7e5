//! The machine under the gateway: what there is of everything, against what the config may want of it.

use super::counted;
use crate::doctor::report::{Code, Finding, Stage};

/// What is known of the machine and of this process; `None`: it cannot be read here.
#[derive(Debug, Clone, PartialEq, Default)]
pub(in crate::doctor) struct Machine {
    /// Whose limits these are.
    pub(in crate::doctor) process: String,
    /// Descriptors that the process may open; `None`: any number.
    pub(in crate::doctor) descriptors: Option<u64>,
    /// Those that it has open, as a share of them.
    pub(in crate::doctor) open: Option<f64>,
    /// Clients' connections that all listeners together may take.
    pub(in crate::doctor) connections: u64,
    /// The first and the last port for connections of our own.
    pub(in crate::doctor) ports: Option<(u64, u64)>,
    /// TCP sockets of the machine that hold a port, those that wait for their end among them.
    pub(in crate::doctor) sockets: Option<u64>,
    /// Connections that the firewall keeps in mind, and how many it may.
    pub(in crate::doctor) conntrack: Option<(u64, u64)>,
    /// What the kernel caps the queue of a listening socket at.
    pub(in crate::doctor) somaxconn: Option<u64>,
    /// How long a queue we ask for.
    pub(in crate::doctor) backlog: u64,
    /// Connections lost to full queues since the machine began.
    pub(in crate::doctor) overflows: Option<u64>,
    /// The cgroup's memory in bytes.
    pub(in crate::doctor) memory: Option<u64>,
    /// The share of it that is in use.
    pub(in crate::doctor) memory_used: Option<f64>,
    /// The cgroup's processor time, in processors.
    pub(in crate::doctor) processors: Option<f64>,
    /// The share of periods in which the processor time was used up.
    pub(in crate::doctor) throttled: Option<f64>,
    /// Whether something keeps the clock right.
    pub(in crate::doctor) synchronised: Option<bool>,
}

/// From this share on a thing runs short.
const SHORT: f64 = 0.8;
/// From this share on there is none left for a burst.
const GONE: f64 = 0.95;

/// What to make of it, thing by thing.
pub(in crate::doctor) fn machine(of: &Machine) -> Vec<Finding> {
    vec![
        descriptors(of),
        ports(of),
        conntrack(of),
        backlog(of),
        memory(of),
        cpu(of),
        clock(of),
    ]
}

fn descriptors(of: &Machine) -> Finding {
    let stage = Stage::Descriptors;
    let Some(limit) = of.descriptors else {
        return Finding::well(stage, format!("{} may open any number", of.process));
    };
    let wanted = of.connections.saturating_mul(2);
    let says = format!(
        "{} may open {limit}; {} with one to an upstream each want up to {wanted}",
        of.process,
        counted(
            usize::try_from(of.connections).unwrap_or(usize::MAX),
            "connection",
            "connections"
        ),
    );
    if of.open.is_some_and(|share| share >= SHORT) {
        let says = format!("{says}; {} are open", percent(of.open));
        return Finding::bad(stage, Code::Scarce, says)
            .advise("raise LimitNOFILE of the service now, or lower max_connections");
    }
    if wanted > limit {
        return Finding::warn(stage, Code::Scarce, says)
            .advise("raise LimitNOFILE of the service, or lower max_connections of the listeners");
    }
    Finding::well(stage, says)
}

fn ports(of: &Machine) -> Finding {
    let stage = Stage::Ports;
    let Some((first, last)) = of.ports else {
        return Finding::skipped(stage, "net.ipv4.ip_local_port_range cannot be read");
    };
    let count = (last + 1).saturating_sub(first);
    let says = format!("{count} for connections to each upstream address ({first} to {last})");
    let Some(sockets) = of.sockets else {
        return Finding::well(stage, says);
    };
    let says = format!("{says}; all TCP sockets of the machine: {sockets}");
    let wide = "widen net.ipv4.ip_local_port_range, or let connections to upstreams live longer (idle_timeout, max_connection_age)";
    if sockets as f64 >= GONE * count as f64 {
        return Finding::warn(stage, Code::Scarce, says).advise(wide);
    }
    Finding::well(stage, says)
}

fn conntrack(of: &Machine) -> Finding {
    let stage = Stage::Conntrack;
    let Some((count, most)) = of.conntrack else {
        return Finding::skipped(
            stage,
            "the firewall keeps no connections in mind, or does not say it here",
        );
    };
    let share = count as f64 / most.max(1) as f64;
    let says = format!("{count} of {most} are taken");
    let advice = "raise net.netfilter.nf_conntrack_max, or exempt the gateway's ports (notrack): a full table drops packets without a word";
    match share {
        share if share >= GONE => Finding::bad(stage, Code::Scarce, says).advise(advice),
        share if share >= SHORT => Finding::warn(stage, Code::Scarce, says).advise(advice),
        _ => Finding::well(stage, says),
    }
}

fn backlog(of: &Machine) -> Finding {
    let stage = Stage::Backlog;
    let Some(most) = of.somaxconn else {
        return Finding::skipped(stage, "net.core.somaxconn cannot be read");
    };
    let kept = most.min(of.backlog);
    let lost = of.overflows.unwrap_or(0);
    let says = format!("{kept} connections of each listener may wait");
    let says = match of.overflows {
        Some(0) => format!("{says}; none was lost to a full queue since the machine began"),
        Some(lost) => {
            format!("{says}; {lost} were lost to full queues of this machine since it began")
        }
        None => says,
    };
    if most < of.backlog {
        return Finding::warn(stage, Code::Scarce, says)
            .advise(format!("set net.core.somaxconn to {} or more", of.backlog));
    }
    if lost > 0 {
        return Finding::warn(stage, Code::Overflowed, says)
            .advise("look whose they were with `ss -ltn` (Recv-Q near Send-Q), and whether the number still grows (`nstat TcpExtListenOverflows`)");
    }
    Finding::well(stage, says)
}

fn memory(of: &Machine) -> Finding {
    let stage = Stage::Memory;
    let Some(limit) = of.memory else {
        return Finding::skipped(stage, "no cgroup limits the memory");
    };
    let mib = limit / (1 << 20);
    match of.memory_used {
        Some(share) if share >= SHORT => {
            let says = format!("{} of {mib} MiB are in use", percent(of.memory_used));
            Finding::warn(stage, Code::Scarce, says)
                .advise("the gateway sheds load of its own accord from here on: raise the limit, or lower max_connections")
        }
        Some(_) => Finding::well(
            stage,
            format!("{} of {mib} MiB are in use", percent(of.memory_used)),
        ),
        None => Finding::well(stage, format!("at most {mib} MiB")),
    }
}

fn cpu(of: &Machine) -> Finding {
    let stage = Stage::Cpu;
    let Some(processors) = of.processors else {
        return Finding::skipped(stage, "no cgroup limits the processor time");
    };
    let processors = (processors * 100.0).round() / 100.0;
    match of.throttled {
        Some(share) if share > 0.0 => {
            let says = format!(
                "the time of {processors} processors was used up in {} of the last moments",
                percent(of.throttled)
            );
            Finding::warn(stage, Code::Scarce, says).advise(
                "every request waits meanwhile: raise the quota, or ask for shares instead of one",
            )
        }
        _ => Finding::well(stage, format!("the time of {processors} processors")),
    }
}

fn clock(of: &Machine) -> Finding {
    let stage = Stage::Clock;
    match of.synchronised {
        Some(true) => Finding::well(stage, "it is kept right"),
        Some(false) => Finding::warn(
            stage,
            Code::Unsynchronised,
            "nothing has set it right since the machine began",
        )
        .advise("let systemd-timesyncd reach its servers (`timedatectl timesync-status`)"),
        None => Finding::skipped(
            stage,
            "whether anything keeps it right cannot be read here; the answers of upstreams are compared with it",
        ),
    }
}

fn percent(share: Option<f64>) -> String {
    format!("{:.0} %", share.unwrap_or(0.0) * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::report::Mark;

    fn healthy() -> Machine {
        Machine {
            process: "this process".to_owned(),
            descriptors: Some(65_536),
            open: Some(0.01),
            connections: 10_000,
            ports: Some((32_768, 60_999)),
            sockets: Some(900),
            conntrack: Some((500, 262_144)),
            somaxconn: Some(4096),
            backlog: 4096,
            overflows: Some(0),
            memory: Some(512 << 20),
            memory_used: Some(0.3),
            processors: Some(2.0),
            throttled: Some(0.0),
            synchronised: Some(true),
        }
    }

    /// The mark of `stage` after `change`, while all others stay well.
    fn after(stage: Stage, change: impl FnOnce(&mut Machine)) -> (Mark, Code) {
        let mut of = healthy();
        change(&mut of);
        let found = machine(&of);
        let others = found.iter().filter(|it| it.stage != stage);
        assert!(
            others.map(|it| it.mark).all(|mark| mark == Mark::Ok),
            "{found:?}"
        );
        let found = found.iter().find(|it| it.stage == stage).unwrap();
        assert_eq!(
            found.mark >= Mark::Warn,
            found.advice.is_some(),
            "{found:?}"
        );
        (found.mark, found.code)
    }

    #[test]
    fn a_healthy_machine_is_well() {
        assert!(machine(&healthy()).iter().all(|it| it.mark == Mark::Ok));
        let says: Vec<_> = machine(&healthy()).into_iter().map(|it| it.says).collect();
        assert_eq!(
            says[..2],
            [
                "this process may open 65536; 10000 connections with one to an upstream each want up to 20000",
                "28232 for connections to each upstream address (32768 to 60999); all TCP sockets of the machine: 900",
            ]
        );
    }

    #[test]
    fn each_thing_that_is_scarce_is_told() {
        let warn = (Mark::Warn, Code::Scarce);
        let bad = (Mark::Bad, Code::Scarce);
        assert_eq!(
            after(Stage::Descriptors, |of| of.connections = 32_769),
            warn
        );
        assert_eq!(after(Stage::Descriptors, |of| of.open = Some(0.81)), bad);
        assert_eq!(after(Stage::Ports, |of| of.sockets = Some(27_000)), warn);
        assert_eq!(
            after(Stage::Conntrack, |of| of.conntrack = Some((81, 100))),
            warn
        );
        assert_eq!(
            after(Stage::Conntrack, |of| of.conntrack = Some((100, 100))),
            bad
        );
        assert_eq!(after(Stage::Backlog, |of| of.somaxconn = Some(128)), warn);
        assert_eq!(after(Stage::Memory, |of| of.memory_used = Some(0.9)), warn);
        assert_eq!(after(Stage::Cpu, |of| of.throttled = Some(0.2)), warn);
    }

    #[test]
    fn m12_connections_lost_to_full_queues_are_told() {
        let lost = (Mark::Warn, Code::Overflowed);
        assert_eq!(after(Stage::Backlog, |of| of.overflows = Some(3)), lost);
    }

    #[test]
    fn a_clock_that_nothing_set_is_told() {
        let unset = (Mark::Warn, Code::Unsynchronised);
        assert_eq!(
            after(Stage::Clock, |of| of.synchronised = Some(false)),
            unset
        );
    }

    #[test]
    fn what_cannot_be_read_is_skipped() {
        let found = machine(&Machine::default());
        let marks: Vec<_> = found.iter().map(|it| it.mark).collect();
        assert_eq!(marks[0], Mark::Ok, "no limit");
        assert!(
            marks[1..].iter().all(|mark| *mark == Mark::Skipped),
            "{found:?}"
        );
    }
}
