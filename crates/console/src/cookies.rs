//! The cookies of a session: the token, the token of an impersonation, the device, and a message for the next page.

use axum::http::{HeaderMap, HeaderValue, header};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// A cookie of the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cookie {
    /// The token of the session.
    Session,
    /// The token of the session that acts as another user.
    Impersonation,
    /// The token of the device: proves that somebody has signed in from it before.
    Device,
    /// What the next page says, once.
    Message,
}

impl Cookie {
    const fn name(self) -> &'static str {
        match self {
            Self::Session => "porttask",
            Self::Impersonation => "porttask-as",
            Self::Device => "porttask-device",
            Self::Message => "porttask-message",
        }
    }

    /// How long browsers keep it; `None` until they are closed.
    const fn seconds(self) -> Option<u32> {
        match self {
            Self::Session | Self::Impersonation => None,
            Self::Device => Some(400 * 24 * 60 * 60),
            Self::Message => Some(60),
        }
    }
}

/// How cookies are named: with `__Host-` and Secure, but where the public URL is plain HTTP on this machine: some browsers
/// then refuse both.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cookies {
    is_secure: bool,
}

impl Cookies {
    pub(crate) fn new(public_url: &str) -> Self {
        Self { is_secure: !(is_plain(public_url) && is_loopback(public_url)) }
    }

    fn name(self, cookie: Cookie) -> String {
        format!("{}{}", if self.is_secure { "__Host-" } else { "" }, cookie.name())
    }

    /// The value of a cookie in a request.
    pub(crate) fn get(self, headers: &HeaderMap, cookie: Cookie) -> Option<String> {
        let name = self.name(cookie);
        let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
        let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let (_, value) = pairs.find(|(key, value)| *key == name && !value.is_empty())?;
        Some(percent_decode_str(value).decode_utf8().ok()?.into_owned())
    }

    /// The token with which the API is called: that of an impersonation, if there is one.
    pub(crate) fn token(self, headers: &HeaderMap) -> Option<String> {
        self.get(headers, Cookie::Impersonation).or_else(|| self.get(headers, Cookie::Session))
    }

    /// The header that sets a cookie.
    pub(crate) fn set(self, cookie: Cookie, value: &str) -> HeaderValue {
        let value = utf8_percent_encode(value, NON_ALPHANUMERIC);
        self.header(cookie, &value.to_string(), cookie.seconds())
    }

    /// The header that deletes a cookie.
    pub(crate) fn delete(self, cookie: Cookie) -> HeaderValue {
        self.header(cookie, "", Some(0))
    }

    fn header(self, cookie: Cookie, value: &str, seconds: Option<u32>) -> HeaderValue {
        let secure = if self.is_secure { "; Secure" } else { "" };
        let age = seconds.map_or_else(String::new, |seconds| format!("; Max-Age={seconds}"));
        let text = format!("{}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{age}", self.name(cookie));
        HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""))
    }
}

/// Whether a URL is plain HTTP.
pub(crate) fn is_plain(url: &str) -> bool {
    url.starts_with("http://")
}

/// Whether a URL names this machine.
pub(crate) fn is_loopback(url: &str) -> bool {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    ["127.", "localhost", "[::1]"].iter().any(|start| host.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_bound_to_the_host_and_secure_but_on_this_machine() {
        let far = Cookies::new("https://admin.example").set(Cookie::Session, "tok");
        assert_eq!(far, "__Host-porttask=tok; Path=/; HttpOnly; SameSite=Lax; Secure");
        let far = Cookies::new("http://admin.example").set(Cookie::Session, "tok");
        assert_eq!(far, "__Host-porttask=tok; Path=/; HttpOnly; SameSite=Lax; Secure");
        let near = Cookies::new("http://127.0.0.1:8080").delete(Cookie::Message);
        assert_eq!(near, "porttask-message=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0");
    }

    #[test]
    fn the_token_of_an_impersonation_comes_first() {
        let cookies = Cookies::new("https://admin.example");
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::from_static("a=b; __Host-porttask=own; porttask=other"));
        assert_eq!(cookies.token(&headers).as_deref(), Some("own"));
        headers.append(header::COOKIE, HeaderValue::from_static("__Host-porttask-as=theirs"));
        assert_eq!(cookies.token(&headers).as_deref(), Some("theirs"));
    }

    #[test]
    fn any_text_survives_a_cookie() {
        let cookies = Cookies::new("http://localhost:1");
        let header = cookies.set(Cookie::Message, "João; “done”=1");
        let pair = header.to_str().unwrap_or_default().split(';').next().unwrap_or_default().to_owned();
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::from_str(&pair).unwrap_or_else(|_| HeaderValue::from_static("")));
        assert_eq!(cookies.get(&headers, Cookie::Message).as_deref(), Some("João; “done”=1"));
    }
}
