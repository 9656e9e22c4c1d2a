//! A connection to PostgreSQL that breaks when it hurts most.

use std::collections::HashSet;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What a client asks before the first message of a connection: may we speak TLS?
const TLS_REQUEST: u32 = 80_877_103;

/// When and how the connection breaks, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trap {
    /// Whether the server has committed, so that only its answer is lost; otherwise it never hears `COMMIT`.
    pub after_commit: bool,
    /// What becomes of the connection.
    pub then: Then,
}

/// What becomes of a connection that was trapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// It is cut.
    Cut,
    /// All are cut, and nobody gets through until [`Proxy::open`].
    Close,
    /// It stays, and nothing passes any more.
    Silence,
}

/// Stands between a node and its server.
pub struct Proxy {
    port: u16,
    state: Arc<State>,
    accepting: tokio::task::JoinHandle<()>,
}

struct State {
    server_port: u16,
    trap: Mutex<Option<Trap>>,
    /// How often all connections were cut, and whether new ones are.
    cuts: watch::Sender<(u64, bool)>,
}

/// Why a connection was ended.
enum End {
    Broken,
    Trapped(Trap),
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Broken
    }
}

impl Proxy {
    /// Begins to pass connections on to a port of this machine.
    pub async fn start(server_port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State { server_port, trap: Mutex::new(None), cuts: watch::Sender::new((0, false)) });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&state)));
        Self { port, state, accepting }
    }

    /// Where it listens, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Sets a trap, which springs once.
    pub fn set(&self, trap: Trap) {
        *self.state.trap.lock().unwrap() = Some(trap);
    }

    /// Whether the trap that was set has sprung.
    pub fn has_sprung(&self) -> bool {
        self.state.trap.lock().unwrap().is_none()
    }

    /// Cuts all connections and refuses new ones.
    pub fn close(&self) {
        self.state.close();
    }

    /// Lets connections through again.
    pub fn open(&self) {
        self.state.cuts.send_modify(|(_, closed)| *closed = false);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.state.close();
    }
}

impl State {
    fn close(&self) {
        self.cuts.send_modify(|(cuts, closed)| (*cuts, *closed) = (*cuts + 1, true));
    }

    /// Springs the trap, if one is set for this moment.
    fn spring(&self, after_commit: bool) -> Result<(), End> {
        let mut set = self.trap.lock().unwrap();
        match *set {
            Some(trap) if trap.after_commit == after_commit => {
                *set = None;
                // Before anybody can see that it sprung.
                if trap.then == Then::Close {
                    self.close();
                }
                Err(End::Trapped(trap))
            }
            _ => Ok(()),
        }
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    loop {
        let (client, _) = listener.accept().await.unwrap();
        let cuts = state.cuts.subscribe();
        if cuts.borrow().1 {
            continue;
        }
        tokio::spawn(carry(client, Arc::clone(&state), cuts));
    }
}

/// Passes one connection on until one side ends it, a trap springs, or all are cut; then both sides are closed.
async fn carry(mut client: TcpStream, state: Arc<State>, mut cuts: watch::Receiver<(u64, bool)>) {
    let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, state.server_port)).await else { return };
    let passing = async {
        if let Err(End::Trapped(trap)) = pass(&mut client, &mut server, &state).await {
            // Shown when the test fails.
            println!("the proxy broke a connection: {trap:?}");
            if trap.then == Then::Silence {
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        () = passing => {}
        _ = cuts.wait_for(|(_, closed)| *closed) => {}
    }
}

async fn pass(client: &mut TcpStream, server: &mut TcpStream, state: &State) -> Result<(), End> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    greet(client, server).await?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let asked = async {
        let mut statements = Statements::default();
        loop {
            let message = message(&mut from_client).await?;
            if statements.is_commit(&message) {
                state.spring(false)?;
            }
            to_server.write_all(&message).await?;
        }
    };
    let answered = async {
        loop {
            let message = message(&mut from_server).await?;
            if message[0] == b'C' && message[5..].starts_with(b"COMMIT\0") {
                state.spring(true)?;
            }
            to_client.write_all(&message).await?;
        }
    };
    tokio::select! { end = asked => end, end = answered => end }
}

/// Passes on what comes before the first message: a question whether TLS is spoken, and the start-up packet.
async fn greet(client: &mut TcpStream, server: &mut TcpStream) -> io::Result<()> {
    loop {
        let length = client.read_u32().await?;
        let mut packet = length.to_be_bytes().to_vec();
        packet.resize(length as usize, 0);
        client.read_exact(&mut packet[4..]).await?;
        server.write_all(&packet).await?;
        if packet[4..8] != TLS_REQUEST.to_be_bytes() {
            return Ok(());
        }
        client.write_u8(server.read_u8().await?).await?;
    }
}

/// One message of the protocol: its type, its length without the type, its body.
async fn message(from: &mut (impl AsyncReadExt + Unpin)) -> io::Result<Vec<u8>> {
    let kind = from.read_u8().await?;
    let length = from.read_u32().await?;
    let mut message = vec![kind];
    message.extend(length.to_be_bytes());
    message.resize(1 + length as usize, 0);
    from.read_exact(&mut message[5..]).await?;
    Ok(message)
}

/// The names of the statements that were prepared to commit.
#[derive(Default)]
struct Statements(HashSet<Vec<u8>>);

impl Statements {
    /// Whether this message of the client makes the server commit.
    fn is_commit(&mut self, message: &[u8]) -> bool {
        let mut words = message[5..].split(|byte| *byte == 0);
        let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        match message[0] {
            b'Q' => is_commit(first),
            // Parse: name, text.
            b'P' if is_commit(second) => {
                self.0.insert(first.to_owned());
                false
            }
            // Bind: portal, name.
            b'B' => self.0.contains(second),
            _ => false,
        }
    }
}

fn is_commit(statement: &[u8]) -> bool {
    statement.trim_ascii().eq_ignore_ascii_case(b"commit")
}
