//! What containerd's world expects: FIFOs, files, loggers, the actions, and a shim that dies.

mod support;

use rustix::fs::{CWD, FileType, Mode, OFlags, StatVfsMountFlags};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use support::client::{Client, Protocol};
use support::proto::containerd::task::v3::*;
use support::proto::containerd::types::RuntimeInfo;
use support::{Rig, SHIM};

fn fifo(path: &Path) {
    rustix::fs::mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
}

fn open(path: &Path, flags: OFlags) -> File {
    rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty())
        .unwrap()
        .into()
}

#[test]
fn fifos_carry_all_three_streams() {
    needs_root!();
    let rig = Rig::new(Protocol::Ttrpc, "cat; echo err >&2; head -c 300000 /dev/zero");
    let names = ["stdin", "stdout", "stderr"].map(|name| rig.bundle.join(format!("init-{name}")));
    names.iter().for_each(|name| fifo(name));
    let text = |at: usize| names[at].to_str().unwrap().to_owned();
    let readers = [1, 2].map(|at| {
        let path = names[at].clone();
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            open(&path, OFlags::RDONLY).read_to_end(&mut bytes).unwrap();
            bytes
        })
    });
    rig.create_with(|r| (r.stdin, r.stdout, r.stderr) = (text(0), text(1), text(2)))
        .unwrap();
    rig.start();
    let mut stdin = open(&names[0], OFlags::WRONLY);
    stdin.write_all(b"input\n").unwrap();
    drop(stdin);
    // The shim keeps the FIFO open for the next client until CloseIO.
    let close = CloseIoRequest {
        id: rig.id.clone(),
        stdin: true,
        ..Default::default()
    };
    rig.client.call::<_, ()>("CloseIO", &close).unwrap();
    assert_eq!(rig.wait("").exit_status, 0);
    rig.delete("").unwrap();
    let [stdout, stderr] = readers.map(|reader| reader.join().unwrap());
    assert_eq!((stdout.len(), &stdout[..6]), (300_006, &b"input\n"[..]));
    assert_eq!(stderr, b"err\n");
}

#[test]
fn a_file_takes_both_streams() {
    needs_root!();
    let rig = Rig::new(Protocol::Ttrpc, "echo out; echo err >&2");
    let path = rig.dir.path().join("new dir/out.txt");
    rig.create(&format!("file://{}", path.to_str().unwrap().replace(' ', "%20")));
    rig.start();
    rig.wait("");
    let mut lines: Vec<_> = fs::read_to_string(path)
        .unwrap()
        .lines()
        .map(ToOwned::to_owned)
        .collect();
    lines.sort();
    assert_eq!(lines, ["err", "out"]);
}

#[test]
fn a_logger_is_fed_and_waited_for() {
    needs_root!();
    let rig = Rig::new(Protocol::Ttrpc, "echo out; echo err >&2");
    let (logger, out) = (rig.dir.path().join("logger"), rig.dir.path().join("logged"));
    let script = "#!/bin/sh\necho \"$CONTAINER_NAMESPACE $CONTAINER_ID $1=$2\" > \"$2\"\nexec 5>&-\ncat <&3 >> \"$2\"; cat <&4 >> \"$2\"\n";
    fs::write(&logger, script).unwrap();
    fs::set_permissions(&logger, fs::Permissions::from_mode(0o755)).unwrap();
    rig.create(&format!("binary://{}?to={}", logger.display(), out.display()));
    rig.start();
    rig.wait("");
    rig.delete("").unwrap();
    let want = format!(
        "{} {} to={}\nout\nerr\n",
        support::NAMESPACE,
        rig.id,
        out.display()
    );
    support::wait_until("the logger has written", || {
        fs::read_to_string(&out).is_ok_and(|text| text == want)
    });
}

#[test]
fn delete_cleans_up_after_a_killed_shim() {
    needs_root!();
    let rig = Rig::new(Protocol::Grpc, "exec sleep 1000");
    let pid = rig.create(&rig.stdio("io", "")).pid;
    rig.start();
    let shim = rustix::process::Pid::from_raw(rig.shim_pid()).unwrap();
    rustix::process::kill_process(shim, rustix::process::Signal::KILL).unwrap();
    support::wait_until("the shim died", || {
        !support::is_shim(shim.as_raw_nonzero().get(), &rig.id)
    });
    let (answer, output) = rig.delete_action();
    assert_eq!((answer.exit_status, answer.pid), (137, pid));
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    support::wait_until("the container died", || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z ")
    });
    assert!(!rig.address.exists());
    assert_eq!(rig.delete_action().0.exit_status, 137);
}

#[test]
fn starting_again_joins_the_living_shim() {
    needs_root!();
    let rig = Rig::new(Protocol::Grpc, "true");
    let pid = rig.shim_pid();
    let again = Command::new(SHIM)
        .current_dir(&rig.bundle)
        .args(["-namespace", support::NAMESPACE, "-id", &rig.id, "-address"])
        .arg(rig.dir.path().join("daemon.sock"))
        .arg("start")
        .env("GANTRY_SHIM_SOCKET_DIR", rig.dir.path().join("s"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8(again.stdout).unwrap(),
        format!("unix://{}", rig.address.display())
    );
    assert_eq!(rig.shim_pid(), pid);
}

#[test]
fn the_running_binary_cannot_be_overwritten() {
    needs_root!();
    let rig = Rig::new(Protocol::Grpc, "true");
    let shim = rig.shim_pid();
    let path = rustix::fs::open(format!("/proc/{shim}/exe"), OFlags::PATH, Mode::empty()).unwrap();
    let read_only = |flags: StatVfsMountFlags| flags.contains(StatVfsMountFlags::RDONLY);
    assert!(
        !read_only(rustix::fs::statvfs(SHIM).unwrap().f_flag),
        "the test needs a writable file system"
    );
    assert!(read_only(rustix::fs::fstatvfs(&path).unwrap().f_flag));
}

#[test]
fn the_shim_is_a_proper_daemon() {
    needs_root!();
    let rig = Rig::new(Protocol::Grpc, "true");
    // `start` answers once the socket listens; what the shim is, it has become when it first answers itself.
    rig.state("").unwrap_err();
    let pid = rig.shim_pid();
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    assert_eq!(
        (fields[2], fields[3]),
        (pid.to_string().as_str(), pid.to_string().as_str()),
        "group and session"
    );
    for fd in 0..3 {
        let target = fs::read_link(format!("/proc/{pid}/fd/{fd}")).unwrap();
        assert!(target == Path::new("/dev/null"), "fd {fd} is {target:?}");
    }
    assert_eq!(
        fs::read_link(format!("/proc/{pid}/cwd")).unwrap(),
        rig.bundle.canonicalize().unwrap()
    );
    assert_eq!(
        fs::metadata(&rig.address).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let address = fs::read_to_string(rig.bundle.join("address")).unwrap();
    assert_eq!(address, format!("unix://{}", rig.address.display()));
}

#[test]
fn sigterm_ends_an_idle_shim_and_spares_a_busy_one() {
    needs_root!();
    let rig = Rig::new(Protocol::Grpc, "exec sleep 1000");
    rig.create("");
    let shim = rustix::process::Pid::from_raw(rig.shim_pid()).unwrap();
    rustix::process::kill_process(shim, rustix::process::Signal::TERM).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(50));
    rig.start();
    rig.kill("", 9).unwrap();
    rig.wait("");
    rig.delete("").unwrap();
    rustix::process::kill_process(shim, rustix::process::Signal::TERM).unwrap();
    support::wait_until("the shim ended", || {
        !support::is_shim(shim.as_raw_nonzero().get(), &rig.id)
    });
}

#[test]
fn events_wait_for_a_daemon_that_restarts() {
    needs_root!();
    let rig = Rig::new(Protocol::Grpc, "true");
    let path = rig.dir.path().join("events.sock");
    fs::remove_file(&path).unwrap();
    rig.create("");
    rig.start();
    rig.wait("");
    let back = support::daemon::Daemon::start(&path);
    assert_eq!(back.topics(3), ["create", "start", "exit"]);
}

#[test]
fn info_describes_the_runtime() {
    let output = Command::new(SHIM)
        .arg("-info")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let info = <RuntimeInfo as prost::Message>::decode(output.stdout.as_slice()).unwrap();
    assert_eq!(info.name, "io.containerd.gantry.v1");
    let version = Command::new(SHIM).arg("-v").output().unwrap();
    assert!(
        String::from_utf8(version.stdout)
            .unwrap()
            .contains(env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn an_unknown_service_is_unimplemented_over_ttrpc() {
    needs_root!();
    let rig = Rig::new(Protocol::Ttrpc, "true");
    let Client::Ttrpc(connection) = &rig.client else {
        unreachable!()
    };
    let answer = support::client::ttrpc::<()>(
        &mut connection.lock().unwrap(),
        "x.y.Z",
        "State",
        &StateRequest::default(),
    );
    let refusal = answer.unwrap_err();
    assert_eq!((refusal.code, refusal.message.contains("x.y.Z")), (12, true));
    let connect = ConnectRequest { id: rig.id.clone() };
    let v3 = "containerd.task.v3.Task";
    let answer =
        support::client::ttrpc::<ConnectResponse>(&mut connection.lock().unwrap(), v3, "Connect", &connect);
    assert_eq!(answer.unwrap().shim_pid as i32, rig.shim_pid());
}

#[test]
fn without_a_socket_events_go_through_the_publish_command() {
    needs_root!();
    let dir = tempfile::tempdir().unwrap();
    let (publisher, out) = (dir.path().join("publisher"), dir.path().join("published"));
    let script = format!("#!/bin/sh\necho \"$*\" >> {0}\ncat > /dev/null\n", out.display());
    fs::write(&publisher, script).unwrap();
    fs::set_permissions(&publisher, fs::Permissions::from_mode(0o755)).unwrap();
    let rig = Rig::publishing(&publisher, "true");
    rig.create("");
    rig.start();
    rig.wait("");
    rig.delete("").unwrap();
    let line = |topic: &str| {
        format!(
            "publish --topic /tasks/{topic} --namespace {}",
            support::NAMESPACE
        )
    };
    support::wait_until("four events came in order", || {
        let text = fs::read_to_string(&out).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        let wanted = ["create", "start", "exit", "delete"].map(line);
        lines.len() == 4 && lines.iter().zip(wanted).all(|(got, want)| got.ends_with(&want))
    });
}

#[test]
fn nothing_of_the_shim_leaks_into_the_container() {
    needs_root!();
    let rig = Rig::new(Protocol::Grpc, "exec sleep 1000");
    rig.create("");
    rig.start();
    let run = |id: &str, args: &[&str]| -> String {
        let stdout = rig.stdio(id, "");
        rig.exec_with(id, args, |r| r.stdout = stdout).unwrap();
        rig.try_start(id).unwrap();
        assert_eq!(rig.wait(id).exit_status, 0);
        rig.log(&format!("{id}.log"))
            .into_iter()
            .map(|(_, text)| text)
            .collect()
    };
    // 3 is the directory that ls reads.
    assert_eq!(run("e1", &["/bin/ls", "/proc/self/fd"]), "0\n1\n2\n3\n");
    let init: Vec<_> = fs::read_dir(format!("/proc/{}/fd", rig.state("").unwrap().pid))
        .unwrap()
        .collect();
    assert_eq!(init.len(), 3);
    let status = run("e2", &["/bin/cat", "/proc/self/status"]);
    for field in ["SigIgn", "SigBlk", "SigCgt"] {
        assert!(
            status.contains(&format!("{field}:\t0000000000000000\n")),
            "{status}"
        );
    }
}
