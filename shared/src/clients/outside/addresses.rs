use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};
use url::{Host, Url};

use crate::config::Reach;

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6(first: u16, second: u16, length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(first, second, 0, 0, 0, 0, 0, 0), length)
}

/// Addresses that are no host of the Internet, after IANA's registry of special-purpose addresses (RFC 6890).
const SPECIAL_V4: [Ipv4Net; 15] = [
    v4(0, 0, 0, 0, 8),       // this network, RFC 791; Linux takes it for itself
    v4(10, 0, 0, 0, 8),      // private, RFC 1918
    v4(100, 64, 0, 0, 10),   // shared by carriers, RFC 6598
    v4(127, 0, 0, 0, 8),     // loopback, RFC 1122
    v4(169, 254, 0, 0, 16),  // link-local, RFC 3927: the metadata of clouds
    v4(172, 16, 0, 0, 12),   // private, RFC 1918
    v4(192, 0, 0, 0, 24),    // protocol assignments, RFC 6890
    v4(192, 0, 2, 0, 24),    // documentation, RFC 5737
    v4(192, 88, 99, 0, 24),  // relays of 6to4, RFC 7526
    v4(192, 168, 0, 0, 16),  // private, RFC 1918
    v4(198, 18, 0, 0, 15),   // benchmarks, RFC 2544
    v4(198, 51, 100, 0, 24), // documentation, RFC 5737
    v4(203, 0, 113, 0, 24),  // documentation, RFC 5737
    v4(224, 0, 0, 0, 4),     // multicast, RFC 5771
    v4(240, 0, 0, 0, 4),     // reserved, RFC 1112, and broadcast
];

/// The only IPv6 addresses that are hosts of the Internet (RFC 4291) …
const GLOBAL_V6: Ipv6Net = v6(0x2000, 0, 3);
/// … but for these.
const SPECIAL_V6: [Ipv6Net; 4] = [
    v6(0x2001, 0, 23),     // protocol assignments, RFC 2928, with Teredo, RFC 4380
    v6(0x2001, 0xdb8, 32), // documentation, RFC 3849
    v6(0x2002, 0, 16),     // 6to4, RFC 3056: an IPv4 address within
    v6(0x3fff, 0, 20),     // documentation, RFC 9637
];
/// IPv4 through a translator (RFC 6052): what counts is the address within.
const TRANSLATED: Ipv6Net = v6(0x64, 0xff9b, 96);

/// What a network of one's own is made of: private addresses and this machine.
const OWN_V4: [Ipv4Net; 4] = [v4(10, 0, 0, 0, 8), v4(127, 0, 0, 0, 8), v4(172, 16, 0, 0, 12), v4(192, 168, 0, 0, 16)];
const OWN_V6: Ipv6Net = v6(0xfc00, 0, 7);
/// EC2's own services within them, its metadata at `fd00:ec2::254` among them.
const EC2_V6: Ipv6Net = v6(0xfd00, 0xec2, 32);

impl Reach {
    /// Whether an address may be connected to.
    pub(crate) fn admits(self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.admits_v4(address),
            IpAddr::V6(address) => self.admits_v6(address),
        }
    }

    fn admits_v4(self, address: Ipv4Addr) -> bool {
        let within = |nets: &[Ipv4Net]| nets.iter().any(|net| net.contains(&address));
        !within(&SPECIAL_V4) || (self == Self::Private && within(&OWN_V4))
    }

    fn admits_v6(self, address: Ipv6Addr) -> bool {
        let embedded = TRANSLATED.contains(&address).then(|| Ipv4Addr::from_bits(low_bits(address)));
        if let Some(address) = address.to_ipv4_mapped().or(embedded) {
            return self.admits_v4(address);
        }
        let own = address == Ipv6Addr::LOCALHOST || (OWN_V6.contains(&address) && !EC2_V6.contains(&address));
        let global = GLOBAL_V6.contains(&address) && !SPECIAL_V6.iter().any(|net| net.contains(&address));
        global || (self == Self::Private && own)
    }

    /// What is wrong with an address to send to, if anything is that can be seen without asking what its name stands for.
    /// The parser has written numbers in other notations (`0x7f.1`, `2130706433`) as usual addresses.
    pub fn fault(self, url: &Url) -> Option<&'static str> {
        const NOT_PUBLIC: &str = "must be an address that the Internet reaches";
        match (self, url.scheme()) {
            (_, "https") | (Self::Private, "http") => {}
            (Self::Public, _) => return Some("must begin with https://"),
            (Self::Private, _) => return Some("must begin with https:// or http://"),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Some("must hold neither a user nor a password");
        }
        if url.fragment().is_some() {
            return Some("must not end with a fragment");
        }
        let admitted = match url.host() {
            Some(Host::Ipv4(address)) => self.admits_v4(address),
            Some(Host::Ipv6(address)) => self.admits_v6(address),
            // This machine, whatever a resolver says (RFC 6761).
            Some(Host::Domain(name)) => {
                let name = name.trim_end_matches('.');
                self == Self::Private || (name != "localhost" && !name.ends_with(".localhost"))
            }
            None => false,
        };
        (!admitted).then_some(NOT_PUBLIC)
    }
}

/// The last 32 bits.
fn low_bits(address: Ipv6Addr) -> u32 {
    let [.., a, b, c, d] = address.octets();
    u32::from_be_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(reach: Reach, url: &str) -> Option<&'static str> {
        reach.fault(&url.parse().unwrap_or_else(|error| panic!("{url}: {error}")))
    }

    #[test]
    fn addresses_of_the_internet_are_admitted() {
        for url in [
            "https://example.com/hooks?a=b",
            "https://example.com:8443/",
            "https://8.8.8.8/",
            "https://100.63.255.255/",
            "https://100.128.0.1/",
            "https://172.32.0.1/",
            "https://[2606:4700::1]/",
            "https://[::ffff:8.8.8.8]/",
            "https://[64:ff9b::8.8.8.8]/",
            "https://localhost.example.com/",
        ] {
            assert_eq!(fault(Reach::Public, url), None, "{url}");
            assert_eq!(fault(Reach::Private, url), None, "{url}");
        }
    }

    #[test]
    fn addresses_of_a_network_of_ones_own_are_admitted_only_on_request() {
        for host in [
            "127.0.0.1",
            "127.255.255.255",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.0.1",
            "[::1]",
            "[fd12:3456::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:a00:1]",
            "[64:ff9b::10.0.0.1]",
            "localhost",
            "LOCALHOST.",
            "api.localhost",
            // Other notations of 127.0.0.1.
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "0177.0.0.1",
            "127.1",
            "127.0.0.1.",
            "127.0.0.1",
            "①②⑦.0.0.1",
            "%31%32%37.0.0.1",
        ] {
            assert!(fault(Reach::Public, &format!("https://{host}/")).is_some(), "{host}");
            assert_eq!(fault(Reach::Private, &format!("http://{host}:8000/")), None, "{host}");
        }
    }

    #[test]
    fn what_is_no_host_is_never_admitted() {
        for host in [
            "169.254.169.254",
            "169.254.170.2",
            "0xa9fea9fe",
            "[fe80::1]",
            "[fd00:ec2::254]",
            "[fd00:ec2::23]",
            "[::ffff:169.254.169.254]",
            "[64:ff9b::169.254.169.254]",
            "[64:ff9b:1::8.8.8.8]",
            "[2002:a9fe:a9fe::1]",
            "[2002:808:808::1]",
            "[2001:0:4136:e378:8000:63bf:3fff:fdd2]",
            "[::127.0.0.1]",
            "[::ffff:0:127.0.0.1]",
            "0.0.0.0",
            "0",
            "0.1.2.3",
            "[::]",
            "100.64.0.1",
            "100.100.100.200",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "[ff02::1]",
            "[fec0::1]",
            "[100::1]",
            "[2001:db8::1]",
            "[3fff::1]",
            "[5f00::1]",
        ] {
            for reach in [Reach::Public, Reach::Private] {
                assert!(fault(reach, &format!("https://{host}/")).is_some(), "{reach:?} {host}");
            }
        }
    }

    #[test]
    fn other_schemes_users_and_fragments_are_refused() {
        for url in [
            "ftp://example.com/",
            "file:///etc/passwd",
            "data:text/plain,x",
            "https://ada@example.com/",
            "https://ada:secret@example.com/",
            "https://:secret@example.com/",
            "https://example.com/#part",
        ] {
            assert!(fault(Reach::Public, url).is_some() && fault(Reach::Private, url).is_some(), "{url}");
        }
        assert!(fault(Reach::Public, "http://example.com/").is_some());
        assert_eq!(fault(Reach::Private, "http://example.com/"), None);
    }
}
