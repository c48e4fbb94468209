//! Standard input, output and error of a process, in all the forms callers ask for.
//!
//! Life of a [`ProcessIo`]: [`prepare`](ProcessIo::prepare) checks the request and, for `gantry://`, lets
//! clients in; [`open`](ProcessIo::open) makes what the process gets; [`connect`](ProcessIo::connect) hands
//! over its terminal, if it has one; [`drain`](ProcessIo::drain) and [`exited`](ProcessIo::exited) see it
//! off; [`close`](ProcessIo::close) removes everything.

mod attach;
mod binary;
pub mod channel;
mod fifo;
mod input;
mod log;
mod pump;
mod sink;
mod target;
mod tty;

use crate::lingering::Lingering;
use crate::reaper::{Exit, Reaper};
use attach::{Hub, Parts};
use channel::Channel;
use gantry_runtime::Stdio;
use input::Input;
use pump::Pump;
use rustix::fs::{Mode, OFlags};
use rustix::pipe::{PipeFlags, pipe_with};
use sink::{Sink, Stream};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex};
use target::{Stdin, Target};
use tokio::task::AbortHandle;
use tty::Console;

/// What a caller asked for, word for word.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub terminal: bool,
    pub stdin: String,
    pub stdout: String,
    pub stderr: String,
}

/// Whose stdio it is, for loggers.
pub struct Owner<'a> {
    /// Exec id, or task id for the first process.
    pub id: &'a str,
    pub namespace: &'a str,
    pub reaper: &'a Reaper,
    pub lingering: &'a Arc<Lingering>,
}

/// The shim's side of one process's stdio.
#[derive(Debug)]
pub struct ProcessIo {
    request: Request,
    stdout: Target,
    stderr: Target,
    input: Arc<Input>,
    console: Arc<Console>,
    hub: Option<Arc<Hub>>,
    lingering: Arc<Lingering>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    pumps: Vec<Arc<Pump>>,
    tasks: Vec<AbortHandle>,
    /// Where a terminal's output will go.
    console_sink: Option<Sink>,
    /// Keeps an input FIFO from ending while clients come and go.
    stdin_hold: Option<OwnedFd>,
    logger: Option<binary::Logger>,
}

impl ProcessIo {
    /// Checks the request, and for `gantry://` opens the log and the attach socket.
    pub fn prepare(request: Request, owner: &Owner<'_>) -> Result<Self, String> {
        let stdout = Target::parse(&request.stdout)?;
        let stderr = if stdout.takes_both() {
            stdout.clone()
        } else {
            Target::parse(&request.stderr)?
        };
        let (input, console) = (Arc::new(Input::pending()), Arc::new(Console::default()));
        let hub = match &stdout {
            Target::Gantry(target) => {
                let (input, console, lingering) = (input.clone(), console.clone(), owner.lingering.clone());
                let parts = Parts {
                    tty: request.terminal,
                    input,
                    console,
                    lingering,
                };
                Some(Hub::open(target, parts).map_err(|e| format!("stdio: {e}"))?)
            }
            _ => None,
        };
        let lingering = owner.lingering.clone();
        Ok(ProcessIo {
            request,
            stdout,
            stderr,
            input,
            console,
            hub,
            lingering,
            state: Mutex::default(),
        })
    }

    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Opens FIFOs, files and loggers and makes the process's ends. Waits for clients to open their FIFOs.
    pub async fn open(&self, owner: &Owner<'_>) -> io::Result<Stdio> {
        let logger = match &self.stdout {
            Target::Binary(target) => {
                let started = binary::start(target, owner.id, owner.namespace, owner.reaper).await?;
                self.state.lock().unwrap().logger = Some(started.logger);
                Some((started.stdout, started.stderr))
            }
            _ => None,
        };
        if self.request.terminal {
            let sink = match logger {
                Some((stdout, _)) => Sink::fifo(fifo::Output {
                    writer: stdout,
                    hold: None,
                })?,
                None => self.sink(&self.stdout).await?,
            };
            self.state.lock().unwrap().console_sink = Some(sink);
            self.listen_to_stdin_fifo()?;
            return Ok(Stdio::Terminal);
        }
        let (stdout, stderr) = match logger {
            Some(pipes) => pipes,
            None => self.output_pipes().await?,
        };
        Ok(Stdio::Piped {
            stdin: self.stdin()?,
            stdout,
            stderr,
        })
    }

    /// The process exists: its terminal, if it has one, comes to life.
    pub fn connect(&self, master: Option<OwnedFd>) -> io::Result<()> {
        let (Some(master), Some(sink)) = (master, self.state.lock().unwrap().console_sink.take()) else {
            return Ok(());
        };
        let master = Arc::new(Channel::new(master)?);
        self.console.connect(master.clone())?;
        self.input.open(master.clone());
        self.pump(master, sink, Stream::Stdout);
        Ok(())
    }

    /// The process is dead: waits until all it wrote has been passed on.
    pub async fn drain(&self) {
        if let Some(hub) = &self.hub {
            hub.expect_last_output();
        }
        let pumps = self.state.lock().unwrap().pumps.clone();
        for pump in pumps {
            pump.drain().await;
        }
        if let Some(hub) = &self.hub {
            hub.end(Stream::Stdout);
            hub.end(Stream::Stderr);
            hub.logged().await;
        }
    }

    /// Tells attached clients how it ended.
    pub fn exited(&self, exit: Exit) {
        self.input.close();
        if let Some(hub) = &self.hub {
            hub.exited(exit);
        }
    }

    /// Closes standard input, once clients that hold its FIFO open let go as well.
    pub fn close_stdin(&self) {
        match self.state.lock().unwrap().stdin_hold.take() {
            Some(hold) => drop(hold),
            None if self.request.stdin.is_empty() => self.input.close(),
            None => {}
        }
    }

    pub fn resize(&self, rows: u16, columns: u16) -> io::Result<()> {
        if !self.request.terminal {
            return Ok(());
        }
        self.console.resize(rows, columns)
    }

    /// The terminal size asked for before the start, as (rows, columns).
    pub fn early_size(&self) -> Option<(u16, u16)> {
        self.console.early_size()
    }

    /// Stops copying and removes the attach socket. Clients still get what they are owed.
    pub fn close(&self) {
        let mut state = self.state.lock().unwrap();
        state.tasks.drain(..).for_each(|task| task.abort());
        state.pumps.clear();
        state.console_sink = None;
        state.stdin_hold = None;
        if let Some(logger) = state.logger.take() {
            self.lingering.spawn(logger.stop());
        }
        drop(state);
        self.input.close();
        self.console.disconnect();
        if let Some(hub) = &self.hub {
            hub.close();
        }
    }

    async fn output_pipes(&self) -> io::Result<(OwnedFd, OwnedFd)> {
        let out_sink = self.sink(&self.stdout).await?;
        // Both streams into one file share the open file, as containerd does for equal names.
        let same = self.stdout.takes_both()
            || (self.request.stdout == self.request.stderr && matches!(out_sink, Sink::File(_)));
        let err_sink = if same {
            out_sink.clone()
        } else {
            self.sink(&self.stderr).await?
        };
        Ok((
            self.output(out_sink, Stream::Stdout)?,
            self.output(err_sink, Stream::Stderr)?,
        ))
    }

    async fn sink(&self, target: &Target) -> io::Result<Sink> {
        match target {
            Target::Null | Target::Binary(_) => Ok(Sink::Null),
            Target::Path(path) if fifo::is_fifo(path).map_err(|e| named(path, e))? => {
                Sink::fifo(fifo::open_output(path).await.map_err(|e| named(path, e))?)
            }
            Target::Path(path) => Ok(Sink::File(Arc::new(append(path, false)?))),
            Target::File(path) => Ok(Sink::File(Arc::new(append(path, true)?))),
            Target::Gantry(_) => Ok(self.hub.clone().map_or(Sink::Null, Sink::Hub)),
        }
    }

    /// The process's end of an output stream; ours is pumped into `sink`.
    fn output(&self, sink: Sink, stream: Stream) -> io::Result<OwnedFd> {
        if matches!(sink, Sink::Null) {
            return null(OFlags::WRONLY);
        }
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
        self.pump(Arc::new(Channel::new(reader)?), sink, stream);
        Ok(writer)
    }

    fn pump(&self, source: Arc<Channel>, sink: Sink, stream: Stream) {
        let pump = Pump::new(source, sink, stream);
        let task = tokio::spawn(pump.clone().run()).abort_handle();
        let mut state = self.state.lock().unwrap();
        state.pumps.push(pump);
        state.tasks.push(task);
    }

    /// The process's end of standard input.
    fn stdin(&self) -> io::Result<OwnedFd> {
        let wanted = match &self.stdout {
            Target::Gantry(target) => target.stdin != Stdin::None,
            _ => !self.request.stdin.is_empty(),
        };
        if !wanted {
            self.input.close();
            return null(OFlags::RDONLY);
        }
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
        self.listen_to_stdin_fifo()?;
        self.input.open(Arc::new(Channel::new(writer)?));
        Ok(reader)
    }

    fn listen_to_stdin_fifo(&self) -> io::Result<()> {
        if self.request.stdin.is_empty() {
            return Ok(());
        }
        let path = Path::new(&self.request.stdin);
        let fifo = fifo::open_input(path).map_err(|e| named(path, e))?;
        let (reader, input) = (Channel::new(fifo.reader)?, self.input.clone());
        let task = tokio::spawn(async move { input.copy_from(reader).await });
        let mut state = self.state.lock().unwrap();
        state.stdin_hold = Some(fifo.hold);
        state.tasks.push(task.abort_handle());
        Ok(())
    }
}

fn null(mode: OFlags) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(
        "/dev/null",
        mode | OFlags::CLOEXEC,
        Mode::empty(),
    )?)
}

fn append(path: &Path, create: bool) -> io::Result<File> {
    if let (true, Some(dir)) = (create, path.parent()) {
        std::fs::create_dir_all(dir).map_err(|e| named(dir, e))?;
    }
    OpenOptions::new()
        .append(true)
        .create(create)
        .open(path)
        .map_err(|e| named(path, e))
}

fn named(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
