//! `NO_PROXY`: which hosts are reached directly, pure.
//!
//! Every form that curl takes, and those of Go and Python: `*`, a host and all below it (with or
//! without a dot before it), the same with a port, IP addresses, and ranges of them.

use std::net::IpAddr;

/// Whether a list of hosts names this one. `host` is without the brackets of IPv6.
pub(super) fn is_listed(list: &str, host: &str, port: u16) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let address = host.parse().map(|ip: IpAddr| ip.to_canonical()).ok();
    let entries = list.split(|char: char| char == ',' || char.is_whitespace());
    let mut entries = entries.filter(|entry| !entry.is_empty());
    entries.any(|entry| {
        let entry = entry.to_ascii_lowercase();
        let (name, its_port) = without_port(&entry);
        its_port.is_none_or(|its| its == port)
            && match address {
                Some(address) => names_address(name, address) || matches(name, &host),
                None => matches(name, &host),
            }
    })
}

/// An entry and its port, if it ends in one.
fn without_port(entry: &str) -> (&str, Option<u16>) {
    if let Some(inner) = entry.strip_prefix('[') {
        let Some((address, rest)) = inner.split_once(']') else {
            return (entry, None);
        };
        return match rest.strip_prefix(':').map(str::parse) {
            Some(Ok(port)) => (address, Some(port)),
            // A range may stand behind the brackets, and is read as if it stood in them.
            _ if rest.starts_with('/') => (entry, None),
            _ => (address, None),
        };
    }
    match entry.rsplit_once(':') {
        // More colons are those of an IPv6 address.
        Some((host, port)) if !host.contains(':') => match port.parse() {
            Ok(port) => (host, Some(port)),
            Err(_) => (entry, None),
        },
        _ => (entry, None),
    }
}

/// Whether an entry is this address, or a range with it.
fn names_address(entry: &str, address: IpAddr) -> bool {
    let (network, bits) = match entry.split_once('/') {
        Some((network, bits)) => (network, Some(bits)),
        None => (entry, None),
    };
    let network = network.trim_matches(['[', ']']);
    let Ok(network) = network.parse().map(|ip: IpAddr| ip.to_canonical()) else {
        return false;
    };
    let (network, address, width) = match (network, address) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (u128::from(a.to_bits()), u128::from(b.to_bits()), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits(), b.to_bits(), 128),
        _ => return false,
    };
    let bits = match bits.map(str::parse::<u32>) {
        None => width,
        Some(Ok(bits)) if bits <= width => bits,
        Some(_) => return false,
    };
    // A shift by the whole width is none: every address is in such a range.
    let shift = width - bits;
    network.checked_shr(shift) == address.checked_shr(shift)
}

/// Whether an entry is this host or one above it.
fn matches(entry: &str, host: &str) -> bool {
    if entry == "*" {
        return true;
    }
    // Ranges of addresses as shells would write them: `192.168.*`.
    if let Some(start) = entry.strip_suffix('*') {
        return !start.is_empty() && host.starts_with(start);
    }
    let entry = entry.trim_end_matches('.');
    let entry = entry.strip_prefix('*').unwrap_or(entry);
    let entry = entry.strip_prefix('.').unwrap_or(entry);
    let above = host.strip_suffix(entry);
    !entry.is_empty() && above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_the_list_is_understood() {
        let table = [
            ("*", "anything.example", true),
            (" * ", "10.0.0.1", true),
            ("localhost,*", "h", true),
            ("", "h", false),
            (" , ,, ", "h", false),
            ("example.com", "example.com", true),
            ("example.com", "api.example.com", true),
            ("example.com", "notexample.com", false),
            ("example.com", "example.com.evil.test", false),
            (".example.com", "api.example.com", true),
            (".example.com", "example.com", true),
            (".example.com", "notexample.com", false),
            ("*.example.com", "a.b.example.com", true),
            ("*.example.com", "notexample.com", false),
            ("example.com.", "example.com", true),
            ("example.com", "example.com.", true),
            ("EXAMPLE.com", "Api.Example.COM", true),
            ("a.test b.test", "b.test", true),
            ("a.test, b.test", "b.test", true),
            ("a.test\tb.test", "b.test", true),
            ("a.test,,b.test,", "b.test", true),
            ("h:8080", "h", true),
            ("h:80", "h", false),
            (".example.com:8080", "api.example.com", true),
            (".example.com:443", "api.example.com", false),
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1:8080", "10.0.0.1", true),
            ("10.0.0.1:81", "10.0.0.1", false),
            ("10.0.0.1", "10.0.0.11", false),
            ("0.0.1", "10.0.0.1", true), // as curl before 7.86; a suffix like any other
            ("10.0.0.0/8", "10.200.3.4", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("192.168.1.0/25", "192.168.1.127", true),
            ("192.168.1.0/25", "192.168.1.128", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("10.0.0.0/33", "10.0.0.0", false),
            ("10.0.0.0/x", "10.0.0.0", false),
            ("10.0.0.0/8", "h", false),
            ("192.168.*", "192.168.7.7", true),
            ("192.168.*", "192.169.7.7", false),
            ("::1", "::1", true),
            ("[::1]", "::1", true),
            ("[::1]:8080", "::1", true),
            ("[::1]:81", "::1", false),
            ("2001:db8::/32", "2001:db8:1::5", true),
            ("[2001:db8::]/32", "2001:db8:1::5", true),
            ("2001:db8::/32", "2001:db9::5", false),
            ("2001:DB8:0:0::5", "2001:db8::5", true),
            ("::/0", "2001:db8::5", true),
            ("10.0.0.1", "::ffff:10.0.0.1", true),
            ("::/0", "10.0.0.1", false),
            ("[::1", "::1", true), // nothing else can be meant
            (":", "h", false),
            (".", "h", false),
            ("*.", "h", false),
        ];
        for (list, host, expected) in table {
            assert_eq!(is_listed(list, host, 8080), expected, "{list:?} and {host}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_list_panics(list: String, host: String) {
            is_listed(&list, &host, 443);
        }
    }
}
