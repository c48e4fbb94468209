//! Tells the daemon what happens to tasks, in the order it happened.
//!
//! The way is ttrpc to `TTRPC_ADDRESS`; where that is not set, the daemon's own `publish` command. A
//! queue decouples tasks from a daemon that is slow or away. An event is tried five times, with 1 to 4
//! seconds between, then dropped: a daemon that was away for longer reads the state anew anyway.

use crate::args::Args;
use crate::lingering::{Lingering, Ticket};
use crate::log;
use crate::proto::containerd::events as wire;
use crate::proto::containerd::services::events::ttrpc::v1::ForwardRequest;
use crate::proto::containerd::types::Envelope;
use crate::proto::gantry::health::v1::HealthChanged;
use crate::reaper::Reaper;
use crate::ttrpc::{KeyValue, Request, client::Client};
use prost::Message;
use prost_types::{Any, Timestamp};
use std::io::{self, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

const QUEUE: usize = 2048;
const ATTEMPTS: u32 = 5;
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Accepts events without ever waiting.
#[derive(Clone)]
pub struct Publisher {
    namespace: Arc<str>,
    queue: mpsc::Sender<Queued>,
    lingering: Arc<Lingering>,
}

/// An event on its way; the ticket keeps the shim alive until it is delivered or given up.
type Queued = (Envelope, Ticket);

/// An event: its topic, its message's full name, and its bytes.
pub trait Event: Message {
    const TOPIC: &'static str;
    const TYPE: &'static str;
}

macro_rules! events {
    ($($message:ident $name:literal $topic:literal,)*) => { $(impl Event for wire::$message {
        const TOPIC: &'static str = $topic;
        const TYPE: &'static str = concat!("containerd.events.", $name);
    })* }
}

events! {
    TaskCreate "TaskCreate" "/tasks/create",
    TaskStart "TaskStart" "/tasks/start",
    TaskExit "TaskExit" "/tasks/exit",
    TaskDelete "TaskDelete" "/tasks/delete",
    TaskOom "TaskOOM" "/tasks/oom",
    TaskPaused "TaskPaused" "/tasks/paused",
    TaskResumed "TaskResumed" "/tasks/resumed",
    TaskExecAdded "TaskExecAdded" "/tasks/exec-added",
    TaskExecStarted "TaskExecStarted" "/tasks/exec-started",
}

impl Event for HealthChanged {
    const TOPIC: &'static str = "/health/status";
    const TYPE: &'static str = "gantry.health.v1.HealthChanged";
}

impl Publisher {
    /// Queues `event`, stamped with the present time.
    pub fn publish<E: Event>(&self, event: &E) {
        let envelope = Envelope {
            timestamp: Some(Timestamp::from(SystemTime::now())),
            namespace: self.namespace.to_string(),
            topic: E::TOPIC.to_owned(),
            event: Some(Any {
                type_url: E::TYPE.to_owned(),
                value: event.encode_to_vec(),
            }),
        };
        if self.queue.try_send((envelope, self.lingering.ticket())).is_err() {
            log::error!(
                "event {} dropped: {QUEUE} events are waiting for the daemon",
                E::TOPIC
            );
        }
    }
}

/// Makes a publisher and the future that does its work.
pub fn channel(
    args: &Args,
    reaper: Arc<Reaper>,
    lingering: Arc<Lingering>,
) -> (Publisher, impl Future<Output = ()> + use<>) {
    let (queue, receiver) = mpsc::channel(QUEUE);
    let publisher = Publisher {
        namespace: args.namespace.as_str().into(),
        queue,
        lingering,
    };
    let address = std::env::var("TTRPC_ADDRESS").ok().filter(|a| !a.is_empty());
    let route = match address {
        Some(address) => Route::Ttrpc {
            address,
            client: None,
        },
        None if !args.publish_binary.is_empty() => Route::Command {
            binary: args.publish_binary.clone(),
            address: args.address.clone(),
            reaper,
        },
        None => Route::Nowhere,
    };
    (publisher, forward_all(route, receiver))
}

/// How events get to the daemon.
enum Route {
    Ttrpc {
        address: String,
        client: Option<Client>,
    },
    Command {
        binary: String,
        address: String,
        reaper: Arc<Reaper>,
    },
    Nowhere,
}

async fn forward_all(mut route: Route, mut queue: mpsc::Receiver<Queued>) {
    while let Some((envelope, _ticket)) = queue.recv().await {
        for attempt in 1..=ATTEMPTS {
            match route.forward(&envelope).await {
                Ok(()) => break,
                Err(error) if attempt == ATTEMPTS => {
                    log::error!(
                        "event {} given up after {attempt} attempts: {error}",
                        envelope.topic
                    );
                }
                Err(error) => {
                    log::warning!(
                        "event {} not delivered (attempt {attempt}): {error}",
                        envelope.topic
                    );
                    sleep(Duration::from_secs(attempt.into())).await;
                }
            }
        }
    }
}

impl Route {
    /// Delivers one event. `Ok` also when the daemon refused it for good.
    async fn forward(&mut self, envelope: &Envelope) -> io::Result<()> {
        match self {
            Route::Ttrpc { address, client } => {
                // A kept connection breaks when the daemon restarts; a fresh one then works at once.
                let kept = client.take();
                let mut sent = match kept {
                    Some(kept) => call(address, Some(kept), envelope).await.ok(),
                    None => None,
                };
                if sent.is_none() {
                    sent = Some(call(address, None, envelope).await?);
                }
                *client = sent;
                Ok(())
            }
            Route::Command {
                binary,
                address,
                reaper,
            } => {
                let child = publish_command(binary, address, envelope)?;
                let exit = reaper.watch(child).await.map_err(io::Error::other)?;
                match exit.status {
                    0 => Ok(()),
                    code => Err(io::Error::other(format!(
                        "{binary} publish ended with status {code}"
                    ))),
                }
            }
            Route::Nowhere => Ok(()),
        }
    }
}

/// One `Forward` call; returns the connection for the next.
async fn call(address: &str, client: Option<Client>, envelope: &Envelope) -> io::Result<Client> {
    let called = timeout(CALL_TIMEOUT, call_unbounded(address, client, envelope)).await;
    called.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut)))
}

async fn call_unbounded(address: &str, client: Option<Client>, envelope: &Envelope) -> io::Result<Client> {
    let mut client = match client {
        Some(client) => client,
        None => Client::connect(address).await?,
    };
    let namespace = KeyValue {
        key: "containerd-namespace-ttrpc".into(),
        value: envelope.namespace.clone(),
    };
    let request = Request {
        service: "containerd.services.events.ttrpc.v1.Events".into(),
        method: "Forward".into(),
        payload: ForwardRequest {
            envelope: Some(envelope.clone()),
        }
        .encode_to_vec(),
        timeout_nano: CALL_TIMEOUT.as_nanos() as i64,
        metadata: vec![namespace],
    };
    if let Err(status) = client.call(&request).await? {
        log::error!(
            "event {} refused: {} (code {})",
            envelope.topic,
            status.message,
            status.code
        );
    }
    Ok(client)
}

/// Runs the daemon's `publish` with the event on standard input; returns the pid to be reaped.
fn publish_command(binary: &str, address: &str, envelope: &Envelope) -> io::Result<i32> {
    let mut child = Command::new(binary)
        .args(["--address", address, "publish", "--topic", &envelope.topic])
        .args(["--namespace", &envelope.namespace])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let event = envelope
        .event
        .as_ref()
        .map(Message::encode_to_vec)
        .unwrap_or_default();
    // A pipe holds 64 KiB, far more than an event, so this cannot block.
    let written = child
        .stdin
        .take()
        .map_or(Ok(()), |mut pipe| pipe.write_all(&event));
    if let Err(error) = written {
        log::warning!("publish {}: {error}", envelope.topic);
    }
    Ok(child.id() as i32)
}
