//! A network that is slower than this machine's: a TCP proxy that delays everything, in each direction.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, TcpStream},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use tokio::{net::TcpListener, task::JoinHandle};

use crate::Error;

/// A proxy to a port of this machine. When it is dropped, it accepts no more connections.
pub(super) struct Delay {
    port: u16,
    accepting: JoinHandle<io::Result<()>>,
}

impl Delay {
    pub(super) async fn start(server_port: u16, delay: Duration) -> Result<Self, Error> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let accepting = tokio::spawn(async move {
            loop {
                let client = listener.accept().await?.0.into_std()?;
                client.set_nonblocking(false)?;
                connect(client, server_port, delay)?;
            }
        });
        Ok(Self { port, accepting })
    }

    /// Where it listens, on 127.0.0.1.
    pub(super) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Delay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn connect(client: TcpStream, server_port: u16, delay: Duration) -> io::Result<()> {
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, server_port))?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    forward(client.try_clone()?, server.try_clone()?, delay)?;
    forward(server, client, delay)
}

/// Two threads, because timers of the runtime are accurate only to a millisecond.
fn forward(mut from: TcpStream, mut to: TcpStream, delay: Duration) -> io::Result<()> {
    let (sender, receiver) = mpsc::channel::<(Instant, Vec<u8>)>();
    let builder = || thread::Builder::new().name("delay".to_owned()).stack_size(128 << 10);
    builder().spawn(move || {
        for (due, bytes) in receiver {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                break;
            }
        }
        // The other side may be closed already.
        _ = to.shutdown(Shutdown::Both);
    })?;
    builder().spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            if sender.send((Instant::now() + delay, buffer[..length].to_vec())).is_err() {
                break;
            }
        }
    })?;
    Ok(())
}
