//! One run of `criu swrk`: started, asked, answered, reaped.

use super::refusal::Refusal;
use super::wire::{Kind, Notice, Request, Response};
use crate::reaper::{Exit, Reaper};
use prost::Message;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, send, sendmsg, socketpair,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tokio::io::unix::AsyncFd;
use tokio::sync::oneshot;

/// Longest answer of CRIU.
const BUFFER: usize = 64 << 10;

/// Where it is looked for beside PATH: a daemon's PATH may lack the folders of system tools.
const FOLDERS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// How CRIU's process is made.
pub struct Setup<'a> {
    /// Folder of the images.
    pub images: &'a Path,
    /// Folder of its log and scratch files, which it mounts on.
    pub work: &'a Path,
    /// Descriptors that it gets under the same numbers.
    pub inherited: Vec<BorrowedFd<'a>>,
    /// Run in its process before it executes.
    pub entry: Option<gantry_runtime::Entry>,
}

/// What CRIU waits for our agreement to, with a descriptor for some.
pub struct Notified {
    pub notice: Notice,
    pub fd: Option<OwnedFd>,
}

/// A running CRIU.
pub struct Criu {
    socket: AsyncFd<OwnedFd>,
    pub pid: i32,
    /// For its requests: the folders, by its own numbers.
    pub images_fd: i32,
    pub work_fd: i32,
    end: oneshot::Receiver<Exit>,
}

impl Criu {
    pub fn start(setup: Setup<'_>, reaper: &Reaper) -> Result<Self, Refusal> {
        let program = find()?;
        let broken = |error: io::Error| Refusal::Broken(format!("{}: {error}", program.display()));
        let numbers = Numbers::reserve().map_err(broken)?;
        let (images_fd, work_fd) = (numbers.images.as_raw_fd(), numbers.work.as_raw_fd());
        let (pid, socket) = spawn(&program, &numbers, setup).map_err(broken)?;
        let end = reaper.watch(pid);
        rustix::io::ioctl_fionbio(&socket, true).map_err(|e| broken(e.into()))?;
        // SAFETY: the `OwnedFd` stays open, and the same, for as long as the `AsyncFd` has it.
        let socket = unsafe { AsyncFd::register(socket) }.map_err(|e| broken(e.into()))?;
        Ok(Criu {
            socket,
            pid,
            images_fd,
            work_fd,
            end,
        })
    }

    /// Asks, agrees to what `notified` agrees to, and answers once CRIU has ended. What it did not do is its response's to tell.
    pub async fn ask(
        self,
        request: &Request,
        mut notified: impl FnMut(Notified) -> Result<(), Refusal>,
    ) -> Result<Response, Refusal> {
        self.send(request)?;
        let response = loop {
            let (response, fd) = self.receive().await?;
            if response.kind != Kind::Notify as i32 {
                break response;
            }
            let notice = response.notice.unwrap_or_default();
            let agreed = notified(Notified { notice, fd });
            let agreement = Request {
                kind: Kind::Notify as i32,
                options: None,
                notify_success: Some(agreed.is_ok()),
            };
            self.send(&agreement)?;
            agreed?;
        };
        drop(self.socket);
        let _ = self.end.await;
        Ok(response)
    }

    fn send(&self, request: &Request) -> Result<(), Refusal> {
        // A packet is small and the peer waits for it: the socket has room.
        let sent = send(
            self.socket.get_ref(),
            &request.encode_to_vec(),
            SendFlags::NOSIGNAL,
        );
        sent.map(drop)
            .map_err(|e| Refusal::Broken(format!("asking: {e}")))
    }

    async fn receive(&self) -> Result<(Response, Option<OwnedFd>), Refusal> {
        let received = self
            .packet()
            .await
            .map_err(|e| Refusal::Broken(format!("answer: {e}")))?;
        let (bytes, fd) = received;
        if bytes.is_empty() {
            return Err(Refusal::Broken("it ended without an answer".to_owned()));
        }
        let response = Response::decode(bytes.as_slice());
        response
            .map(|response| (response, fd))
            .map_err(|e| Refusal::Broken(format!("answer: {e}")))
    }

    async fn packet(&self) -> io::Result<(Vec<u8>, Option<OwnedFd>)> {
        loop {
            let mut ready = self.socket.readable().await?;
            match ready.try_io(|socket| Ok(receive_packet(socket.as_fd())?)) {
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(result) => return result,
                Err(_would_block) => {}
            }
        }
    }
}

fn receive_packet(socket: BorrowedFd<'_>) -> Result<(Vec<u8>, Option<OwnedFd>), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut bytes = vec![0; BUFFER];
    let received = recvmsg(
        socket,
        &mut [IoSliceMut::new(&mut bytes)],
        &mut ancillary,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    bytes.truncate(received.bytes);
    let mut fds = ancillary.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(fds) => Some(fds),
        _ => None,
    });
    let first = fds.next().and_then(|mut fds| fds.next());
    Ok((bytes, first))
}

/// The executable, by PATH and the usual folders.
fn find() -> Result<PathBuf, Refusal> {
    let path = std::env::var("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path)
        .chain(FOLDERS.map(PathBuf::from))
        .collect();
    let found = folders
        .iter()
        .map(|folder| folder.join("criu"))
        .find(|file| file.is_file());
    found.ok_or_else(|| Refusal::Missing {
        searched: folders
            .iter()
            .map(|f| f.display().to_string())
            .collect::<Vec<_>>()
            .join(":"),
    })
}

/// Descriptors whose numbers the child uses for its own: they have to be known before it is there.
struct Numbers {
    socket: OwnedFd,
    images: OwnedFd,
    work: OwnedFd,
}

impl Numbers {
    fn reserve() -> io::Result<Self> {
        let null = || rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        Ok(Numbers {
            socket: null()?,
            images: null()?,
            work: null()?,
        })
    }
}

/// Starts CRIU and answers its pid and our end of its socket.
///
/// It looks its folders up as `/proc/PID/fd/N` of whoever made the socket, and mounts on one: so its own process, in its own
/// mount namespace, opens the folders and makes the socket, and sends us the other end.
fn spawn(program: &Path, numbers: &Numbers, setup: Setup<'_>) -> io::Result<(i32, OwnedFd)> {
    let (ours, theirs) = socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?;
    let inherited: Vec<i32> = setup.inherited.iter().map(AsRawFd::as_raw_fd).collect();
    let places = [
        numbers.socket.as_raw_fd(),
        numbers.images.as_raw_fd(),
        numbers.work.as_raw_fd(),
    ];
    let folders = [setup.images.to_owned(), setup.work.to_owned()];
    let entry = setup.entry;
    let mut command = Command::new(program);
    command
        .args(["swrk", &places[0].to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let within = move || {
        entry.as_ref().map_or(Ok(()), gantry_runtime::Entry::enter)?;
        for (folder, place) in folders.iter().zip(&places[1..]) {
            put(
                rustix::fs::open(folder, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?,
                *place,
            )?;
        }
        let (far, near) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        put(near, places[0])?;
        send_fd(theirs.as_fd(), far.as_fd())?;
        for fd in &inherited {
            // SAFETY: the caller's borrow outlives the child's use of its copy.
            let fd = unsafe { BorrowedFd::borrow_raw(*fd) };
            rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::empty())?;
        }
        Ok(())
    };
    // SAFETY: the child of a process with one thread may do what its parent may; nothing is kept of what it does.
    unsafe { command.pre_exec(within) };
    let pid = command.spawn()?.id() as i32;
    // The child had sent it before it executed.
    let (_, socket) = receive_packet(ours.as_fd())?;
    let socket = socket.ok_or_else(|| io::Error::other("it sent no socket"))?;
    Ok((pid, socket))
}

/// Gives the open file a certain number, open across exec.
fn put(fd: OwnedFd, number: i32) -> io::Result<()> {
    // SAFETY: dup2 onto a number that the parent has reserved; its owner lives in the parent alone.
    match unsafe { libc::dup2(fd.as_raw_fd(), number) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

fn send_fd(socket: BorrowedFd<'_>, fd: BorrowedFd<'_>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let fds = [fd];
    ancillary.push(SendAncillaryMessage::ScmRights(&fds));
    sendmsg(socket, &[IoSlice::new(b".")], &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}
