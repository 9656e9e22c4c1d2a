//! The client of a request: IP address, user agent, request id.

use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
    sync::Once,
};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{Extensions, HeaderMap, header, request::Parts},
};
use porttask_domain::{Meta, PersonId, Personal, is_request_id};
use uuid::Uuid;

use crate::http::app::{App, Settings};

/// The header with the id of a request.
pub(crate) const REQUEST_ID: &str = "x-request-id";
/// An unreadable header is logged once in the lifetime of the process.
static UNREADABLE: Once = Once::new();
const LONGEST_AGENT: usize = 500;

/// Where a request comes from, and its id.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) ip: Option<IpAddr>,
    pub(crate) user_agent: Option<String>,
    pub(crate) request_id: String,
}

/// The id of a request: the client's, or a new one.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub(crate) String);

impl RequestId {
    /// The client's id, or a new one.
    ///
    /// # Errors
    /// The new id, if the client's is not valid.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Self> {
        let new = || Self(format!("req_{}", Uuid::now_v7().simple()));
        let Some(sent) = headers.get(REQUEST_ID) else { return Ok(new()) };
        let sent = sent.to_str().ok().filter(|id| is_request_id(id));
        sent.map(|id| Self(id.to_owned())).ok_or_else(new)
    }
}

impl Client {
    /// Adds address, user agent and request id to the metadata of an actor.
    pub(crate) fn mark(&self, meta: Meta, actor: impl Into<PersonId> + Copy) -> Meta {
        Meta {
            ip: self.ip.map(|ip| Personal::trace(actor, ip.to_string())),
            user_agent: self.user_agent.clone().map(|agent| Personal::trace(actor, agent)),
            request_id: Some(self.request_id.clone()),
            ..meta
        }
    }
}

impl FromRequestParts<App> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let agent = parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
        let request_id = parts.extensions.get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
        Ok(Self {
            ip: address(&parts.extensions, &parts.headers, &app.settings),
            user_agent: agent.map(|agent| agent.chars().take(LONGEST_AGENT).collect()),
            request_id,
        })
    }
}

/// The address of the client; forwarding headers count only if trusted proxies sent them.
pub(crate) fn address(extensions: &Extensions, headers: &HeaderMap, settings: &Settings) -> Option<IpAddr> {
    Some(origin(peer(extensions)?, headers, |address| settings.trusts(address)))
}

/// The address at the other end of the connection.
pub(crate) fn peer(extensions: &Extensions) -> Option<IpAddr> {
    extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip().to_canonical())
}

/// Whether the request has forwarding headers, which anybody can send.
pub(crate) fn is_forwarded(headers: &HeaderMap) -> bool {
    ["x-forwarded-for", "forwarded", "x-real-ip", "via"].iter().any(|name| headers.contains_key(*name))
}

/// The nearest hop that is not a trusted proxy. Earlier hops may be forged.
fn origin(peer: IpAddr, headers: &HeaderMap, is_trusted: impl Fn(IpAddr) -> bool) -> IpAddr {
    let mut nearest = peer;
    let lines: Vec<&str> = headers.get_all("x-forwarded-for").iter().filter_map(|line| line.to_str().ok()).collect();
    for hop in lines.join(",").rsplit(',') {
        if !is_trusted(nearest) {
            break;
        }
        let hop = hop.trim();
        // Empty members of a list count for nothing (RFC 9110, section 5.6.1).
        if hop.is_empty() {
            continue;
        }
        let Some(address) = address_of(hop) else {
            UNREADABLE.call_once(|| {
                tracing::warn!("a trusted proxy sends an X-Forwarded-For header that is no list of IP addresses");
            });
            break;
        };
        nearest = address.to_canonical();
    }
    nearest
}

/// An address, as proxies write it: some add the port.
fn address_of(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim_matches('"');
    let address = hop.parse::<IpAddr>().or_else(|_| hop.parse::<SocketAddr>().map(|address| address.ip()));
    address.ok().or_else(|| hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin_of(peer: &str, forwarded: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append("x-forwarded-for", line.parse().unwrap());
        }
        let proxies: [IpAddr; 2] = ["10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()];
        origin(peer.parse().unwrap(), &headers, |address| proxies.contains(&address)).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        assert_eq!(origin_of("192.0.2.9", &["198.51.100.1"]), "192.0.2.9");
        assert_eq!(origin_of("10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(origin_of("10.0.0.1", &["203.0.113.5, 198.51.100.1"]), "198.51.100.1", "the first is forged");
        assert_eq!(origin_of("10.0.0.1", &["198.51.100.1", "10.0.0.2"]), "198.51.100.1");
        assert_eq!(origin_of("10.0.0.1", &["nonsense"]), "10.0.0.1");
        assert_eq!(origin_of("10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn ports_brackets_and_empty_members_are_no_obstacle() {
        for (header, expected) in [
            ("203.0.113.7:51008", "203.0.113.7"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("\"[2001:db8::1]:443\"", "2001:db8::1"),
            ("203.0.113.7, ", "203.0.113.7"),
            (", 203.0.113.7,, 10.0.0.2,", "203.0.113.7"),
        ] {
            assert_eq!(origin_of("10.0.0.1", &[header]), expected, "{header}");
        }
    }
}
