//! What an address is to us: the open network, a network of our own, or nowhere a business system lives.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How far an address may be trusted to be the far system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// On the open network.
    Public,
    /// Loopback, private, unique-local or shared: ours, so only where the connection says so.
    Private,
    /// Link-local and the cloud providers' metadata services, which hand out credentials to whoever asks: only where
    /// the connection names the very network.
    Metadata,
    /// Unspecified, multicast, broadcast, reserved: never a far system.
    Never,
}

/// Alibaba Cloud's metadata service lives in the shared range 100.64/10.
const ALIBABA: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 200);
/// Amazon's metadata service over IPv6.
const AMAZON: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254);

/// What an address is.
pub fn reach(address: IpAddr) -> Reach {
    match unwrapped(address) {
        IpAddr::V4(v4) => reach_v4(v4),
        IpAddr::V6(v6) => reach_v6(v6),
    }
}

/// The IPv4 address that an IPv6 one stands for: mapped, compatible, 6to4 and NAT64. The packet goes to that one, so
/// that one is judged.
pub fn unwrapped(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let [a, b, c, d, e, f, g, h] = v6.segments();
    let v4 = |high: u16, low: u16| {
        let ([p, q], [r, s]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(p, q, r, s))
    };
    match (a, b, c, d, e, f) {
        (0, 0, 0, 0, 0, 0xffff) | (0x64, 0xff9b, 0, 0, 0, 0) => v4(g, h),
        // `::` and `::1` are themselves.
        (0, 0, 0, 0, 0, 0) if g != 0 || h > 1 => v4(g, h),
        (0x2002, high, low, _, _, _) => v4(high, low),
        _ => address,
    }
}

fn reach_v4(v4: Ipv4Addr) -> Reach {
    let [a, b, c, _] = v4.octets();
    if v4.is_link_local() || v4 == ALIBABA {
        return Reach::Metadata;
    }
    match (a, b, c) {
        (0 | 224..=255, _, _) => Reach::Never,
        // RFC 1918, loopback, shared (RFC 6598), protocol assignments, benchmarking.
        (10 | 127, _, _) | (172, 16..=31, _) | (192, 168, _) | (100, 64..=127, _) => Reach::Private,
        (192, 0, 0) | (198, 18..=19, _) => Reach::Private,
        _ => Reach::Public,
    }
}

fn reach_v6(v6: Ipv6Addr) -> Reach {
    let [first, ..] = v6.segments();
    if v6.is_unspecified() || v6.is_multicast() {
        Reach::Never
    } else if v6 == AMAZON || (0xfe80..=0xfebf).contains(&first) {
        Reach::Metadata
    // Unique-local, and the site-local range that came before it.
    } else if v6.is_loopback() || (0xfc00..=0xfdff).contains(&first) || (0xfec0..=0xfeff).contains(&first) {
        Reach::Private
    } else {
        Reach::Public
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_an_inner_address_is_seen() {
        for (reached, texts) in [
            (Reach::Public, &["8.8.8.8", "172.32.0.1", "100.63.0.1", "2001:db8::1", "2002:0808:0808::1"][..]),
            (
                Reach::Private,
                &[
                    "127.0.0.1",
                    "127.255.0.9",
                    "10.1.2.3",
                    "172.16.0.1",
                    "172.31.255.255",
                    "192.168.1.1",
                    "100.64.0.1",
                    "192.0.0.8",
                    "198.19.0.1",
                    "::1",
                    "fc00::1",
                    "fdff::1",
                    "fec0::1",
                    "::ffff:127.0.0.1",
                    "::ffff:10.0.0.1",
                    "::10.0.0.1",
                    "64:ff9b::192.168.0.1",
                    "2002:7f00:0001::",
                ],
            ),
            (
                Reach::Metadata,
                &[
                    "169.254.169.254",
                    "169.254.0.23",
                    "100.100.100.200",
                    "fe80::1",
                    "fd00:ec2::254",
                    "::ffff:169.254.169.254",
                    "64:ff9b::a9fe:a9fe",
                ],
            ),
            (
                Reach::Never,
                &[
                    "0.0.0.0",
                    "0.1.2.3",
                    "224.0.0.1",
                    "255.255.255.255",
                    "240.0.0.1",
                    "::",
                    "ff02::1",
                    "::ffff:0.0.0.0",
                ],
            ),
        ] {
            for text in texts {
                assert_eq!(reach(text.parse().unwrap()), reached, "{text}");
            }
        }
    }
}
