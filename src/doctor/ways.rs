//! The way to an address: our own end by the system's choice, the rest by the routing tables of the kernel.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    path::Path,
};

use super::judge::Way;

/// A row of a routing table.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    net: IpAddr,
    length: u32,
    gateway: IpAddr,
    metric: u32,
    interface: String,
}

/// The way to `to`. Nothing is sent: connecting a datagram socket only has the system choose.
///
/// # Errors
/// Where there is none.
pub(super) fn find(to: SocketAddr) -> io::Result<Way> {
    let any: IpAddr = match to.ip() {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(to)?;
    let from = socket.local_addr().ok().map(|local| local.ip());
    Ok(look_up(Path::new("/"), to.ip(), from))
}

/// What the tables below `root` say.
fn look_up(root: &Path, to: IpAddr, from: Option<IpAddr>) -> Way {
    let read = |file: &str| fs::read_to_string(root.join(file)).unwrap_or_default();
    let rows: Vec<Row> = match to {
        IpAddr::V4(_) => read("proc/net/route").lines().filter_map(row_v4).collect(),
        IpAddr::V6(_) => {
            let table = read("proc/net/ipv6_route");
            table.lines().filter_map(row_v6).collect()
        }
    };
    let row = best(&rows, to);
    let mtu = row.and_then(|row| {
        let file = format!("sys/class/net/{}/mtu", row.interface);
        read(&file).trim().parse().ok()
    });
    Way {
        from,
        interface: row.map(|row| row.interface.clone()),
        gateway: row.map(|row| row.gateway).filter(|it| !it.is_unspecified()),
        mtu,
    }
}

/// The row of the longest prefix that holds `to`, the cheapest of several.
fn best(rows: &[Row], to: IpAddr) -> Option<&Row> {
    let holding = rows.iter().filter(|row| row.holds(to));
    holding.max_by_key(|row| (row.length, std::cmp::Reverse(row.metric)))
}

// === impl Row ===

impl Row {
    fn holds(&self, to: IpAddr) -> bool {
        match (self.net, to) {
            (IpAddr::V4(net), IpAddr::V4(to)) => {
                let mask = u32::MAX.checked_shl(32 - self.length).unwrap_or(0);
                net.to_bits() & mask == to.to_bits() & mask
            }
            (IpAddr::V6(net), IpAddr::V6(to)) => {
                let mask = u128::MAX.checked_shl(128 - self.length).unwrap_or(0);
                net.to_bits() & mask == to.to_bits() & mask
            }
            _ => false,
        }
    }
}

/// `up`, and not `reject`: the flags of a row that leads somewhere.
fn leads_on(flags: u32) -> bool {
    flags & 0x201 == 0x1
}

/// `Iface Destination Gateway Flags RefCnt Use Metric Mask ...`, addresses as hexadecimal numbers of this machine.
fn row_v4(line: &str) -> Option<Row> {
    let mut words = line.split_whitespace();
    let interface = words.next()?.to_owned();
    let address = |words: &mut std::str::SplitWhitespace<'_>| {
        let number = u32::from_str_radix(words.next()?, 16).ok()?;
        Some(Ipv4Addr::from(number.to_ne_bytes()))
    };
    let net = address(&mut words)?;
    let gateway = address(&mut words)?;
    let flags = u32::from_str_radix(words.next()?, 16).ok()?;
    let metric = words.nth(2)?.parse().ok()?;
    let mask = address(&mut words)?;
    leads_on(flags).then_some(Row {
        net: net.into(),
        length: mask.to_bits().leading_ones(),
        gateway: gateway.into(),
        metric,
        interface,
    })
}

/// `destination length source length gateway metric refcnt use flags interface`, all but the last in hexadecimal.
fn row_v6(line: &str) -> Option<Row> {
    let words: Vec<_> = line.split_whitespace().collect();
    let [net, length, _, _, gateway, metric, _, _, flags, interface] = words.as_slice() else {
        return None;
    };
    let address = |word: &str| Some(Ipv6Addr::from(u128::from_str_radix(word, 16).ok()?));
    leads_on(u32::from_str_radix(flags, 16).ok()?).then_some(Row {
        net: address(net)?.into(),
        length: u32::from_str_radix(length, 16)
            .ok()
            .filter(|it| *it <= 128)?,
        gateway: address(gateway)?.into(),
        metric: u32::from_str_radix(metric, 16).ok()?,
        interface: (*interface).to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An address as `/proc/net/route` writes it on this machine.
    fn hex(address: [u8; 4]) -> String {
        format!("{:08X}", u32::from_ne_bytes(address))
    }

    #[test]
    fn the_longest_prefix_and_then_the_cheapest_way_is_taken() {
        let root = tempfile::tempdir().unwrap();
        let write = |file: &str, text: String| {
            let file = root.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        let row = |interface: &str, net, gateway, flags: &str, metric: u32, mask| {
            let (net, gateway, mask) = (hex(net), hex(gateway), hex(mask));
            format!("{interface}\t{net}\t{gateway}\t{flags}\t0\t0\t{metric}\t{mask}\t0\t0\t0\n")
        };
        let table = [
            "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
                .to_owned(),
            row("eth1", [0; 4], [10, 9, 0, 1], "0003", 200, [0; 4]),
            row("eth0", [0; 4], [10, 0, 0, 1], "0003", 100, [0; 4]),
            row("tun0", [10, 8, 0, 0], [0; 4], "0001", 50, [255, 255, 0, 0]),
            row("no", [10, 8, 1, 0], [0; 4], "0201", 0, [255, 255, 255, 0]),
        ];
        write("proc/net/route", table.concat());
        write("sys/class/net/tun0/mtu", "1380\n".to_owned());
        let way = |to: &str| look_up(root.path(), to.parse().unwrap(), None);
        let far = way("192.0.2.1");
        assert_eq!(far.interface.as_deref(), Some("eth0"));
        assert_eq!(far.gateway, Some("10.0.0.1".parse().unwrap()));
        let near = way("10.8.1.9");
        assert_eq!(
            (near.interface.as_deref(), near.gateway),
            (Some("tun0"), None)
        );
        assert_eq!(near.mtu, Some(1380));
        assert_eq!(way("2001:db8::1").interface, None);
        let six = "20010db8000000000000000000000000 20 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth0\n";
        write("proc/net/ipv6_route", six.to_owned());
        let way = way("2001:db8::1");
        assert_eq!(way.gateway, Some("fe80::1".parse().unwrap()));
    }

    #[test]
    fn the_way_to_this_machine_is_itself() {
        let way = find("127.0.0.1:9".parse().unwrap()).unwrap();
        assert_eq!(way.from, Some(Ipv4Addr::LOCALHOST.into()));
    }
}
