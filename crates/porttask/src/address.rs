//! The addresses of the service: where it listens, and its public URL.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use porttask_domain::identity::DomainName;

/// An IP address and port, or a host name of this machine and a port.
pub(crate) fn listen(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let expected = || "expected an address and a port, such as 127.0.0.1:8080 or localhost:8080".to_owned();
    let found: Vec<SocketAddr> = text.to_socket_addrs().map_err(|_| expected())?.collect();
    // IPv4 first: clients on this machine try it first, too.
    found.iter().find(|address| address.is_ipv4()).or(found.first()).copied().ok_or_else(expected)
}

/// `http(s)://host[:port][/path]`; an empty one counts as unset.
pub(crate) fn public_url(text: &str) -> Result<String, String> {
    if text.is_empty() || is_url(text) {
        return Ok(text.to_owned());
    }
    Err("expected the URL that users open, such as https://admin.example.com".to_owned())
}

fn is_url(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("https://").or(text.strip_prefix("http://")) else { return false };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    // The colons of an IPv6 address are in brackets.
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let is_ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok();
    let is_host = host == "localhost" || is_ip || DomainName::new(host).is_ok();
    let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok());
    is_host && is_port && path.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listening_address_may_name_this_machine() {
        for (text, expected) in
            [("127.0.0.1:8080", "127.0.0.1:8080"), ("localhost:8080", "127.0.0.1:8080"), ("[::1]:80", "[::1]:80")]
        {
            assert_eq!(listen(text), Ok(expected.parse().unwrap()), "{text}");
        }
        for bad in ["", "8080", ":8080", "localhost", "127.0.0.1", "no such host:80", "localhost:http"] {
            assert!(listen(bad).is_err_and(|error| error.contains("localhost:8080")), "{bad}");
        }
    }

    #[test]
    fn a_public_url_has_a_scheme_and_a_host() {
        for good in [
            "",
            "https://admin.example.com",
            "https://admin.example.com/",
            "http://localhost:8080",
            "http://127.0.0.1:8080/admin",
            "http://[::1]:8080",
        ] {
            assert_eq!(public_url(good), Ok(good.to_owned()));
        }
        for bad in [
            "foo",
            "admin.example.com",
            "ftp://admin.example.com",
            "https://",
            "https:///x",
            "https://ana@admin.example.com",
            "https://admin.example.com:port",
            "https://admin.example.com/?x",
            "https://admin.example.com/#x",
            "https://two words.example",
        ] {
            assert!(public_url(bad).is_err(), "{bad}");
        }
    }
}
