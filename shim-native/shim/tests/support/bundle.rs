//! A bundle around Debian's static busybox.

use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

const BUSYBOX: &str = "/usr/bin/busybox";
const APPLETS: &str =
    "sh sleep cat echo head dd yes seq stty kill true false printf id ls tr wc env test mkdir";

/// Makes `<dir>/<id>` with a rootfs and a `config.json` that `change` may alter.
pub fn make(dir: &Path, id: &str, change: impl FnOnce(&mut Value)) -> PathBuf {
    let bundle = dir.join(id);
    let root = bundle.join("rootfs");
    for sub in ["bin", "proc", "dev", "sys", "tmp", "etc"] {
        fs::create_dir_all(root.join(sub)).unwrap();
    }
    fs::copy(BUSYBOX, root.join("bin/busybox")).expect("the tests need Debian's busybox-static");
    for applet in APPLETS.split(' ') {
        symlink("busybox", root.join("bin").join(applet)).unwrap();
    }
    let mut config = config(id);
    change(&mut config);
    fs::write(bundle.join("config.json"), config.to_string()).unwrap();
    bundle
}

fn config(id: &str) -> Value {
    let namespaces = ["pid", "mount", "ipc", "uts"].map(|kind| json!({ "type": kind }));
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": ["/bin/true"],
            "env": ["PATH=/bin", "TERM=xterm"],
            "cwd": "/",
            "capabilities": {
                "bounding": ["CAP_KILL", "CAP_CHOWN"], "effective": ["CAP_KILL", "CAP_CHOWN"],
                "permitted": ["CAP_KILL", "CAP_CHOWN"]
            },
        },
        "root": {"path": "rootfs"},
        "hostname": "shim-test",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=65536k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
             "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
        ],
        "linux": {"namespaces": namespaces, "cgroupsPath": format!("/gantry-shim-test-{id}")},
    })
}
