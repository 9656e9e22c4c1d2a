//! A minimal HTTP/1.1 client: it shares the machine with the service that it measures, so it must be cheap.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::Error;

/// Maximum headers of a response.
const HEADERS: usize = 32;

/// A connection for sequential requests.
pub(crate) struct Client {
    stream: TcpStream,
    address: SocketAddr,
    token: Option<String>,
    buffer: Vec<u8>,
}

/// A response.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The position that a view must have reached to reflect the command.
    pub(crate) position: Option<String>,
    body: Vec<u8>,
}

impl Answer {
    /// The body, if the request succeeded.
    pub(crate) fn json(&self) -> Result<Value, Error> {
        if !(200..300).contains(&self.status) {
            return Err(format!("{}: {}", self.status, String::from_utf8_lossy(&self.body)).into());
        }
        Ok(serde_json::from_slice(&self.body)?)
    }

    /// Itself if the request succeeded, otherwise an error.
    pub(crate) fn ok(self) -> Result<Self, Error> {
        if (200..300).contains(&self.status) { Ok(self) } else { self.json().map(|_| self) }
    }
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr, token: Option<&str>) -> Result<Self, Error> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, address, token: token.map(str::to_owned), buffer: Vec::with_capacity(64 * 1024) })
    }

    pub(crate) async fn get(&mut self, path: &str, at_least: Option<&str>) -> Result<Answer, Error> {
        self.send("GET", path, at_least, None).await
    }

    pub(crate) async fn post(&mut self, path: &str, body: &Value) -> Result<Answer, Error> {
        self.send("POST", path, None, Some(body)).await
    }

    pub(crate) async fn send(
        &mut self,
        method: &str,
        path: &str,
        at_least: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Answer, Error> {
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n", self.address);
        if let Some(token) = &self.token {
            // The API reads the one, the console the other.
            request += &format!("authorization: Bearer {token}\r\ncookie: porttask={token}\r\n");
        }
        if let Some(position) = at_least {
            request += &format!("porttask-at-least: {position}\r\n");
        }
        match body.map(Value::to_string) {
            Some(body) => {
                request += &format!("content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            }
            None => request += "\r\n",
        }
        self.stream.write_all(request.as_bytes()).await?;
        self.answer().await
    }

    /// Uploads a document.
    pub(crate) async fn upload(&mut self, name: &str, content: &[u8]) -> Result<Answer, Error> {
        let (path, length) = ("/v1/organizations/current/documents", content.len());
        let token = self.token.as_deref().unwrap_or_default();
        let head = format!(
            "POST {path}?name={name} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\n\
             content-type: application/octet-stream\r\ncontent-length: {length}\r\n\r\n",
            self.address
        );
        self.stream.write_all(head.as_bytes()).await?;
        self.stream.write_all(content).await?;
        self.answer().await
    }

    async fn answer(&mut self) -> Result<Answer, Error> {
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err("the connection was closed".into());
            }
            let mut headers = [httparse::EMPTY_HEADER; HEADERS];
            let mut response = httparse::Response::new(&mut headers);
            let httparse::Status::Complete(begin) = response.parse(&self.buffer)? else { continue };
            let header = |name: &str| {
                let found = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
                std::str::from_utf8(found.value).ok()
            };
            let length: usize = header("content-length").ok_or("a response without a length")?.parse()?;
            let (status, position) =
                (response.code.unwrap_or_default(), header("porttask-position").map(str::to_owned));
            while self.buffer.len() < begin + length {
                if self.stream.read_buf(&mut self.buffer).await? == 0 {
                    return Err("the connection was closed during a response".into());
                }
            }
            return Ok(Answer { status, position, body: self.buffer[begin..begin + length].to_vec() });
        }
    }
}
