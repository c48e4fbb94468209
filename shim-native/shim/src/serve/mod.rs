//! The background process: one thread, one socket, two protocols.

mod grpc;
mod methods;
mod ttrpc;

use crate::args::Args;
use crate::lingering::Lingering;
use crate::reaper::Reaper;
use crate::task::Shim;
use crate::{daemonize, events, log, start};
use rustix::net::{RecvFlags, recv, sockopt};
use std::io;
use std::os::unix::net::UnixListener as StdListener;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::{UnixListener, UnixStream};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long output, events and loggers may keep an otherwise finished shim alive.
const LINGER: Duration = Duration::from_secs(45);

/// How long the last answers have to reach their clients.
const GOODBYE: Duration = Duration::from_millis(100);

/// Serves until Shutdown.
pub fn serve(args: &Args) -> Result<(), String> {
    let listener = daemonize::inherited(args).map_err(|e| e.to_string())?;
    let listener = listener.ok_or("give an action: start or delete")?;
    daemonize::detach().map_err(|e| format!("detaching: {e}"))?;
    serve_on(args, listener)
}

/// The same in a process that is detached already.
pub fn serve_on(args: &Args, listener: StdListener) -> Result<(), String> {
    log::open(&start::bundle(args)?, &args.namespace, &args.id, args.debug);
    log::capture_stderr();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| format!("event loop: {e}"))?;
    runtime.block_on(run(args, listener)).map_err(|e| {
        log::error!("{e}");
        e.to_string()
    })
}

async fn run(args: &Args, listener: StdListener) -> io::Result<()> {
    let path = listener.local_addr()?.as_pathname().map(ToOwned::to_owned);
    listener.set_nonblocking(true)?;
    let listener = UnixListener::from_std(listener)?;
    let (reaper, lingering) = (Arc::new(Reaper::default()), Arc::new(Lingering::default()));
    let (publisher, forwarding) = events::channel(args, reaper.clone(), lingering.clone());
    let shim = Arc::new(Shim::new(args, publisher, reaper.clone(), lingering.clone()));
    let reaping = tokio::spawn(async move { reaper.run().await });
    tokio::spawn(forwarding);
    let settled = shim.clone();
    tokio::spawn(async move { settled.settling.run().await });
    let mut connections = JoinSet::new();
    let mut signals = Signals::new()?;
    loop {
        tokio::select! {
            accepted = listener.accept() => accept(&shim, &mut connections, accepted).await,
            Some(_) = connections.join_next() => {}
            () = shim.shutdown_asked() => break,
            // A service manager that stops the daemon must not take containers along.
            () = signals.next() => if shim.is_empty() { break } else { log::info!("signal ignored: a task is here") },
        }
    }
    if let Some(path) = path {
        let _ = std::fs::remove_file(path);
    }
    drop(listener);
    let _ = timeout(GOODBYE, async {
        while connections.join_next().await.is_some() {}
    })
    .await;
    if timeout(LINGER, lingering.idle()).await.is_err() {
        log::warning!("ending with undelivered events or output");
    }
    reaping.abort();
    Ok(())
}

/// The signals that ask a process to end.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! { _ = self.terminate.recv() => {}, _ = self.interrupt.recv() => {} }
    }
}

async fn accept(
    shim: &Arc<Shim>,
    connections: &mut JoinSet<()>,
    accepted: io::Result<(UnixStream, tokio::net::unix::SocketAddr)>,
) {
    match accepted {
        Ok((stream, _)) if is_friend(&stream) => {
            let shim = shim.clone();
            connections.spawn(async move {
                if let Err(error) = talk(shim, stream).await {
                    log::debug!("connection: {error}");
                }
            });
        }
        Ok(_) => log::warning!("refused a connection from another user"),
        Err(error) => {
            log::error!("accept: {error}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Only root and our own user may speak to us, whatever the socket's mode became.
fn is_friend(stream: &UnixStream) -> bool {
    sockopt::socket_peercred(stream)
        .is_ok_and(|peer| peer.uid.is_root() || peer.uid == rustix::process::geteuid())
}

/// Picks the protocol by the first byte: HTTP/2 opens with `PRI`, a ttrpc length is below 2^24 and so
/// starts with 0.
async fn talk(shim: Arc<Shim>, stream: UnixStream) -> io::Result<()> {
    let mut first = [0];
    let count = stream
        .async_io(Interest::READABLE, || {
            Ok(recv(&stream, &mut first[..], RecvFlags::PEEK)?.1)
        })
        .await?;
    match (count, first) {
        (0, _) => Ok(()),
        (_, [b'P']) => grpc::serve(shim, stream).await,
        _ => ttrpc::serve(shim, stream).await,
    }
}
