//! What the machine says of itself, in the small files of the kernel.

use std::{fs, path::Path, str::FromStr};

use super::judge::Machine;
use crate::{
    admission::{Signals, SystemSignals},
    config::Plan,
    listener::{BACKLOG, most_of},
};

/// Reads it, for a process that is `process` and goes by `plan`. Blocks for as long as a few small files take.
pub(super) fn read(process: &str, plan: &Plan) -> Machine {
    let mut signals = SystemSignals::new();
    let (limits, readings) = (signals.limits(), signals.read());
    let listeners = plan.listeners.iter().map(most_of);
    let files = Files(Path::new("/"));
    Machine {
        process: process.to_owned(),
        descriptors: limits.descriptors,
        open: readings.descriptors,
        connections: listeners.map(|most| most as u64).sum(),
        backlog: u64::try_from(BACKLOG).unwrap_or(0),
        memory: limits.memory,
        memory_used: readings.memory,
        processors: limits.processors,
        throttled: readings.throttled,
        ..files.read()
    }
}

/// The files below a folder that stands for `/`.
struct Files<'a>(&'a Path);

// === impl Files ===

impl Files<'_> {
    fn read(&self) -> Machine {
        Machine {
            ports: self.pair("proc/sys/net/ipv4/ip_local_port_range"),
            sockets: self.sockets(),
            conntrack: self
                .number("proc/sys/net/netfilter/nf_conntrack_count")
                .zip(self.number("proc/sys/net/netfilter/nf_conntrack_max")),
            somaxconn: self.number("proc/sys/net/core/somaxconn"),
            overflows: self.overflows(),
            synchronised: self.synchronised(),
            ..Machine::default()
        }
    }

    fn text(&self, file: &str) -> Option<String> {
        fs::read_to_string(self.0.join(file)).ok()
    }

    fn number<T: FromStr>(&self, file: &str) -> Option<T> {
        self.text(file)?.trim().parse().ok()
    }

    fn pair(&self, file: &str) -> Option<(u64, u64)> {
        let text = self.text(file)?;
        let (first, last) = text.trim().split_once(char::is_whitespace)?;
        Some((first.parse().ok()?, last.trim().parse().ok()?))
    }

    /// `TCP: inuse 5 orphan 0 tw 12 alloc 7 mem 1`; IPv6 has a file of its own, without those in TIME-WAIT.
    fn sockets(&self) -> Option<u64> {
        let four = self.text("proc/net/sockstat")?;
        let line = four.lines().find(|line| line.starts_with("TCP:"))?;
        let six = self.text("proc/net/sockstat6").unwrap_or_default();
        let six = six.lines().find(|line| line.starts_with("TCP6:"));
        let six = six.and_then(|line| beside(line, "inuse")).unwrap_or(0);
        Some(beside(line, "inuse")? + beside(line, "tw").unwrap_or(0) + six)
    }

    /// What did not fit into the queue of those who wait to be accepted, and of those who have only knocked. A line of
    /// names and below it a line of numbers, both of which begin with `TcpExt:`.
    fn overflows(&self) -> Option<u64> {
        let text = self.text("proc/net/netstat")?;
        let mut lines = text.lines().filter(|line| line.starts_with("TcpExt:"));
        let (names, numbers) = (lines.next()?, lines.next()?);
        let both = names.split(' ').zip(numbers.split(' '));
        let lost = both.filter(|(name, _)| ["ListenOverflows", "TCPReqQFullDrop"].contains(name));
        lost.map(|(_, number)| number.parse::<u64>().ok()).sum()
    }

    /// Only systemd-timesyncd says it in a file; where it does not run nothing is known.
    fn synchronised(&self) -> Option<bool> {
        let folder = self.0.join("run/systemd/timesync");
        folder
            .is_dir()
            .then(|| folder.join("synchronized").exists())
    }
}

/// The number behind `word` in a line of words and numbers.
fn beside(line: &str, word: &str) -> Option<u64> {
    let mut words = line.split(' ');
    words.find(|it| *it == word)?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_the_kernel_are_read() {
        let root = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| {
            let file = root.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        assert_eq!(Files(root.path()).read(), Machine::default());
        write("proc/sys/net/ipv4/ip_local_port_range", "32768\t60999\n");
        write(
            "proc/net/sockstat",
            "sockets: used 40\nTCP: inuse 5 orphan 0 tw 12 alloc 7 mem 1\n",
        );
        write("proc/net/sockstat6", "TCP6: inuse 3\n");
        write("proc/sys/net/netfilter/nf_conntrack_count", "7\n");
        write("proc/sys/net/netfilter/nf_conntrack_max", "100\n");
        write("proc/sys/net/core/somaxconn", "4096\n");
        write(
            "proc/net/netstat",
            "TcpExt: SyncookiesSent ListenOverflows ListenDrops TCPReqQFullDrop\nTcpExt: 1 9 11 3\nIpExt: A\nIpExt: 1\n",
        );
        write("run/systemd/timesync/other", "");
        let read = Files(root.path()).read();
        assert_eq!(
            read,
            Machine {
                ports: Some((32_768, 60_999)),
                sockets: Some(20),
                conntrack: Some((7, 100)),
                somaxconn: Some(4096),
                overflows: Some(12),
                synchronised: Some(false),
                ..Machine::default()
            }
        );
        write("run/systemd/timesync/synchronized", "");
        assert_eq!(Files(root.path()).read().synchronised, Some(true));
    }

    #[test]
    fn this_machine_can_be_read() {
        let plan = crate::config::parse("[[listeners]]\nbind = \"127.0.0.1:0\"\nmax_connections = 7\n[[routes]]\nrespond = { status = 200 }\n", Path::new("a")).unwrap();
        let read = read("this process", &plan.plan);
        assert_eq!((read.connections, read.backlog), (7, 4096));
        assert!(read.open.is_some() && read.ports.is_some(), "{read:?}");
    }
}
