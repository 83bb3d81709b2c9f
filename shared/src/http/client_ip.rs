use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::{HeaderMap, HeaderName};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address that a request is counted against. What serves the request puts it among its extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientIp(pub IpAddr);

impl ClientIp {
    /// The address that a gateway vouches for.
    pub fn new(ip: IpAddr) -> Self {
        Self(counted(ip))
    }

    /// The address behind `hops` proxies of our own, each of which appends to `X-Forwarded-For` whom it got the request
    /// from. What a client writes in front of that is never looked at, so it opens no new bucket; without a proxy nothing
    /// of the header is.
    pub fn behind_proxies(peer: IpAddr, headers: &HeaderMap, hops: usize) -> Self {
        let forwarded = headers.get_all(FORWARDED_FOR).iter().collect::<Vec<_>>();
        let named = hops.checked_sub(1).and_then(|place| {
            let addresses = forwarded.iter().rev().filter_map(|value| value.to_str().ok()).flat_map(|v| v.rsplit(','));
            address(addresses.into_iter().nth(place)?)
        });
        Self::new(named.unwrap_or(peer))
    }
}

/// An address with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    text.parse().ok().or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()))
}

/// Who has one address of version 6 has the 2^64 of its network.
fn counted(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        ip @ IpAddr::V4(_) => ip,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn seen(values: &[&str], hops: usize) -> String {
        let headers = values.iter().map(|value| (FORWARDED_FOR, HeaderValue::from_bytes(value.as_bytes()).unwrap()));
        ClientIp::behind_proxies("192.0.2.1".parse().unwrap(), &headers.collect(), hops).0.to_string()
    }

    #[test]
    fn without_a_proxy_the_header_means_nothing() {
        assert_eq!(seen(&["203.0.113.9"], 0), "192.0.2.1");
    }

    #[test]
    fn only_what_our_proxies_wrote_counts() {
        assert_eq!(seen(&["198.51.100.7"], 1), "198.51.100.7");
        assert_eq!(seen(&["1.2.3.4, 5.6.7.8, 198.51.100.7"], 1), "198.51.100.7");
        assert_eq!(seen(&["1.2.3.4", "198.51.100.7:4711"], 1), "198.51.100.7");
        assert_eq!(seen(&["1.2.3.4, 198.51.100.7, 10.0.0.1"], 2), "198.51.100.7");
    }

    #[test]
    fn what_is_malformed_or_too_short_is_the_peers() {
        for hostile in ["", ",", "nonsense", "999.1.1.1", "\u{fc}", "' OR 1=1", &"1.2.3.4,".repeat(10_000)] {
            assert_eq!(seen(&[hostile], 1), "192.0.2.1", "{}", hostile.len());
        }
        assert_eq!(seen(&["198.51.100.7"], 2), "192.0.2.1");
        assert_eq!(seen(&[], 1), "192.0.2.1");
    }

    #[test]
    fn addresses_of_version_6_are_counted_by_network() {
        assert_eq!(seen(&["2001:db8:1:2:3:4:5:6"], 1), "2001:db8:1:2::");
        assert_eq!(seen(&["[2001:db8:1:2:ffff::1]:443"], 1), "2001:db8:1:2::");
        assert_eq!(seen(&["::ffff:198.51.100.7"], 1), "198.51.100.7");
    }
}
