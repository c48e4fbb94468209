//! Real containers for tests: a shared busybox root, one bundle per container, a private cgroup parent.

use gantry_runtime::spec::Spec;
use gantry_runtime::{
    CgroupConfig, CgroupDriver, Container, CreateOptions, Created, Error, RootfsMount, Stdio, Warning,
};
use rustix::process::{Pid, WaitOptions, waitpid};
use serde_json::{Value, json};
use std::fs;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

/// Whether containers can be made here; says why not otherwise.
pub fn possible() -> bool {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: running containers needs root");
        return false;
    }
    if !Path::new("/bin/busybox").exists() {
        eprintln!("skipped: needs a static /bin/busybox (Debian: busybox-static)");
        return false;
    }
    true
}

/// Leaves the test if containers cannot be made.
#[macro_export]
macro_rules! need_containers {
    () => {
        if !$crate::support::possible() {
            return;
        }
    };
}

const APPLETS: [&str; 28] = [
    "sh", "true", "cat", "echo", "ls", "id", "mount", "umount", "unshare", "sleep", "stat", "readlink",
    "touch", "mkdir", "hostname", "tty", "stty", "grep", "env", "pwd", "ps", "kill", "head", "dd", "mknod",
    "test", "wc", "nice",
];

/// The image: made once per test run, never written to by a container (they get an overlay on it).
pub fn image() -> &'static Path {
    static IMAGE: OnceLock<PathBuf> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let dir = std::env::temp_dir().join(format!("gantry-runtime-image-{}", std::process::id()));
        for sub in ["bin", "dev", "etc", "proc", "sys", "tmp", "root", "work"] {
            fs::create_dir_all(dir.join(sub)).unwrap();
        }
        fs::copy("/bin/busybox", dir.join("bin/busybox")).unwrap();
        for applet in APPLETS {
            symlink("busybox", dir.join("bin").join(applet)).unwrap();
        }
        fs::write(
            dir.join("etc/passwd"),
            "root:x:0:0::/root:/bin/sh\nweb:x:33:33::/work:/bin/sh\n",
        )
        .unwrap();
        fs::write(dir.join("bin/data"), "no program").unwrap();
        // The image goes when the test process ends, however it ends: a child waits for that.
        remove_at_exit(&dir);
        dir
    })
}

fn remove_at_exit(dir: &Path) {
    use std::process::{Command, Stdio};
    let script =
        r#"cat >/dev/null; rm -rf -- "$1"; rmdir /sys/fs/cgroup/*/"$2" /sys/fs/cgroup/"$2" 2>/dev/null"#;
    // It outlives this process, so nobody here can wait for it.
    #[allow(clippy::zombie_processes)]
    let mut child = Command::new("setsid")
        .args(["sh", "-c", script, "sh"])
        .arg(dir)
        .arg(cgroup_parent().trim_start_matches('/'))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Held open until this process ends.
    std::mem::forget(child.stdin.take());
}

/// Every test's groups lie below this one. Also in processes that a test forks.
pub fn cgroup_parent() -> &'static str {
    static PARENT: OnceLock<String> = OnceLock::new();
    PARENT.get_or_init(|| format!("/gantry-runtime-test-{}", std::process::id()))
}

/// A bundle with its own overlay, and the container made from it.
pub struct Bundle {
    pub dir: Arc<tempfile::TempDir>,
    pub id: String,
    pub spec: Value,
    pub mounts: Vec<RootfsMount>,
}

pub const NAMESPACES: [&str; 6] = ["pid", "network", "ipc", "uts", "mount", "cgroup"];

impl Bundle {
    /// A root user's process with a small capability set and Docker's kind of mounts.
    pub fn new(args: &[&str]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let id = format!("t{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let dir = tempfile::Builder::new()
            .prefix("gantry-runtime-")
            .tempdir()
            .unwrap();
        for sub in ["rootfs", "upper", "work"] {
            fs::create_dir(dir.path().join(sub)).unwrap();
        }
        let option = |key: &str, path: PathBuf| format!("{key}={}", path.display());
        let overlay = RootfsMount {
            fs_type: "overlay".into(),
            source: "overlay".into(),
            target: String::new(),
            options: vec![
                option("lowerdir", image().to_owned()),
                option("upperdir", dir.path().join("upper")),
                option("workdir", dir.path().join("work")),
            ],
        };
        Self {
            id,
            spec: spec(args),
            mounts: vec![overlay],
            dir: Arc::new(dir),
        }
    }

    pub fn shell(script: &str) -> Self {
        Self::new(&["/bin/sh", "-c", script])
    }

    /// Changes the spec in place.
    pub fn with(mut self, change: impl FnOnce(&mut Value)) -> Self {
        change(&mut self.spec);
        self
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn create_with(&self, stdio: Stdio) -> Result<Created, Error> {
        let spec: Spec = serde_json::from_value(self.spec.clone()).expect("a valid spec");
        Container::create(
            spec,
            CreateOptions {
                id: &self.id,
                bundle: self.path(),
                rootfs_mounts: &self.mounts,
                stdio,
                cgroup: CgroupConfig {
                    driver: driver(),
                    default_parent: match driver() {
                        CgroupDriver::Cgroupfs => cgroup_parent().to_owned(),
                        CgroupDriver::Systemd => "system.slice".to_owned(),
                    },
                },
                no_new_keyring: false,
                no_pivot_root: false,
                io_owner: None,
            },
        )
    }

    /// Creates with pipes; the output ends are returned.
    pub fn create(&self) -> Result<Running, Error> {
        let (streams, stdio) = Streams::new();
        let created = self.create_with(stdio)?;
        Ok(Running {
            container: created.container,
            warnings: created.warnings,
            streams,
            _dir: self.dir.clone(),
        })
    }

    pub fn started(&self) -> Running {
        let mut running = self.create().unwrap();
        running.warnings.extend(running.container.start().unwrap());
        running
    }

    /// From create to delete.
    pub fn run(&self) -> Outcome {
        self.started().finish()
    }
}

/// Our ends of a process's output.
pub struct Streams {
    stdout: OwnedFd,
    stderr: OwnedFd,
}

impl Streams {
    pub fn new() -> (Self, Stdio) {
        let pipe = || rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
        let ((stdout, theirs_out), (stderr, theirs_err)) = (pipe(), pipe());
        let stdin = fs::File::open("/dev/null").unwrap().into();
        (
            Self { stdout, stderr },
            Stdio::Piped {
                stdin,
                stdout: theirs_out,
                stderr: theirs_err,
            },
        )
    }

    /// Reads both to the end.
    pub fn read(self) -> (String, String) {
        let errors = std::thread::spawn(move || read_all(self.stderr));
        (read_all(self.stdout), errors.join().unwrap())
    }
}

pub fn read_all(fd: OwnedFd) -> String {
    let mut bytes = Vec::new();
    // A terminal's master answers EIO once the last process is gone.
    let _ = fs::File::from(fd).read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

pub struct Running {
    pub container: Container,
    pub warnings: Vec<Warning>,
    pub streams: Streams,
    /// Keeps the overlay's directories while the container runs.
    _dir: Arc<tempfile::TempDir>,
}

#[derive(Debug)]
pub struct Outcome {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    pub warnings: Vec<Warning>,
}

impl Running {
    pub fn finish(mut self) -> Outcome {
        let (stdout, stderr) = self.streams.read();
        let code = wait(self.container.init_pid());
        self.warnings.extend(self.container.delete().unwrap());
        Outcome {
            code,
            stdout,
            stderr,
            warnings: self.warnings,
        }
    }

    /// Kills, reaps and deletes.
    pub fn end(mut self) {
        let _ = self.container.kill(9, false);
        wait(self.container.init_pid());
        self.container.delete().unwrap();
    }
}

/// Reaps; a signal counts as 128 + its number.
pub fn wait(pid: i32) -> i32 {
    let (_, status) = waitpid(Pid::from_raw(pid), WaitOptions::empty())
        .unwrap()
        .unwrap();
    status
        .exit_status()
        .unwrap_or_else(|| 128 + status.terminating_signal().unwrap())
}

/// Waits up to 5 s for something that another process does.
pub fn eventually(what: &str, mut reached: impl FnMut() -> bool) {
    for _ in 0..500 {
        if reached() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("not within 5 s: {what}");
}

/// The container's group in the tree of `controller`.
pub fn group(id: &str, controller: &str) -> PathBuf {
    let base = Path::new("/sys/fs/cgroup");
    let tree = if is_v2() {
        base.to_owned()
    } else {
        base.join(controller)
    };
    match driver() {
        CgroupDriver::Cgroupfs => tree.join(cgroup_parent().trim_start_matches('/')).join(id),
        CgroupDriver::Systemd => tree.join("system.slice").join(format!("gantry-{id}.scope")),
    }
}

/// `GANTRY_TEST_CGROUP_DRIVER=systemd` runs the same tests with the other driver (on a host with systemd).
pub fn driver() -> CgroupDriver {
    match std::env::var("GANTRY_TEST_CGROUP_DRIVER").as_deref() {
        Ok("systemd") => CgroupDriver::Systemd,
        _ => CgroupDriver::Cgroupfs,
    }
}

/// Whether the controllers are in the v2 tree.
pub fn is_v2() -> bool {
    Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

pub fn is_readable(fd: impl AsFd) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let timeout = Timespec {
        tv_sec: 5,
        tv_nsec: 0,
    };
    poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&timeout)).unwrap() == 1
}

fn spec(args: &[&str]) -> Value {
    let caps = [
        "CAP_CHOWN",
        "CAP_DAC_OVERRIDE",
        "CAP_FOWNER",
        "CAP_MKNOD",
        "CAP_SETGID",
        "CAP_SETUID",
        "CAP_KILL",
    ];
    let namespaces: Vec<Value> = NAMESPACES.iter().map(|kind| json!({"type": kind})).collect();
    json!({
        "ociVersion": "1.2.0",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": args,
            "env": ["PATH=/bin"],
            "cwd": "/",
            "capabilities": {"bounding": caps, "effective": caps, "permitted": caps},
            "noNewPrivileges": false
        },
        "root": {"path": "rootfs"},
        "hostname": "inside",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=64k"]},
            {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
            {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro", "nosuid", "noexec", "nodev"]}
        ],
        "linux": {
            "namespaces": namespaces,
            "maskedPaths": ["/proc/kcore", "/sys/firmware", "/proc/no-such-thing"],
            "readonlyPaths": ["/proc/sys", "/proc/bus"]
        }
    })
}

/// Appends to an array of the spec, making it if needed.
pub fn push(spec: &mut Value, pointer: &str, item: Value) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let object = spec.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    object
        .entry(key)
        .or_insert_with(|| json!([]))
        .as_array_mut()
        .unwrap()
        .push(item);
}
