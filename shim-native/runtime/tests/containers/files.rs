//! Root, mounts, devices, and images that try to get out.

use crate::need_containers;
use crate::support::{Bundle, push};
use gantry_runtime::RootfsMount;
use serde_json::json;
use std::fs;
use std::os::unix::fs::symlink;

#[test]
fn default_devices_and_links_are_there() {
    need_containers!();
    let outcome = Bundle::shell(
        "for d in null zero full random urandom tty; do test -c /dev/$d || echo no $d; done; \
         readlink /dev/fd; readlink /dev/ptmx; stat -c '%a %t:%T' /dev/null; echo x > /dev/null && head -c 2 /dev/zero | wc -c",
    )
    .run();
    assert_eq!(
        outcome.stdout, "/proc/self/fd\npts/ptmx\n666 1:3\n2\n",
        "{outcome:?}"
    );
}

#[test]
fn devices_outside_the_list_are_refused_by_the_cgroup() {
    need_containers!();
    // mem (1:1) may be made with CAP_MKNOD, but not opened.
    let outcome = Bundle::shell("mknod /dev/mem c 1 1 && cat /dev/mem | head -c 1").run();
    assert!(outcome.stderr.contains("Operation not permitted"), "{outcome:?}");
}

#[test]
fn spec_devices_get_their_mode_and_owner() {
    need_containers!();
    let device = json!({"path": "/dev/sub/own", "type": "c", "major": 1, "minor": 3, "fileMode": 0o640, "uid": 5, "gid": 6});
    let outcome = Bundle::new(&["/bin/stat", "-c", "%a %u %g %t:%T", "/dev/sub/own"])
        .with(|spec| push(spec, "/linux/devices", device))
        .run();
    assert_eq!(outcome.stdout, "640 5 6 1:3\n", "{outcome:?}");
}

#[test]
fn the_root_can_be_read_only_and_nothing_stays_on_the_host() {
    need_containers!();
    let bundle = Bundle::shell("touch /x; touch /dev/shm/y && echo shm")
        .with(|spec| spec["root"]["readonly"] = json!(true));
    let outcome = bundle.run();
    assert_eq!(outcome.stdout, "shm\n");
    assert!(
        outcome.stderr.contains("/x: Read-only file system"),
        "{outcome:?}"
    );
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(
        !mounts.contains(&bundle.path().display().to_string()),
        "a mount leaked to the host"
    );
    assert!(
        fs::read_dir(bundle.path().join("rootfs"))
            .unwrap()
            .next()
            .is_none()
    );
}

#[test]
fn bind_mounts_take_their_options() {
    need_containers!();
    let source = tempfile::tempdir().unwrap();
    fs::write(source.path().join("file"), "from the host\n").unwrap();
    let outcome = Bundle::shell("cat /data/file /one; touch /data/new; echo more >> /rw/file; cat /rw/file; grep ' /data ' /proc/self/mounts")
        .with(|spec| {
            let bind = |destination: &str, source: &std::path::Path, options: &[&str]| {
                json!({"destination": destination, "type": "bind", "source": source, "options": options})
            };
            push(spec, "/mounts", bind("/data", source.path(), &["rbind", "ro", "nosuid", "rprivate"]));
            push(spec, "/mounts", bind("/one", &source.path().join("file"), &["bind"]));
            push(spec, "/mounts", bind("/rw", source.path(), &["bind", "rw"]));
        })
        .run();
    assert_eq!(
        outcome.stdout.lines().take(4).collect::<Vec<_>>(),
        ["from the host", "from the host", "from the host", "more"]
    );
    assert!(outcome.stdout.contains("ro,nosuid"), "{outcome:?}");
    assert!(outcome.stderr.contains("Read-only file system"), "{outcome:?}");
}

#[test]
fn rro_covers_sub_mounts() {
    need_containers!();
    let outcome = Bundle::shell("touch /outer/x; touch /outer/shm/x")
        .with(|spec| {
            let bind = json!({"destination": "/outer", "type": "bind", "source": "/dev", "options": ["rbind", "rro"]});
            push(spec, "/mounts", bind);
        })
        .run();
    assert_eq!(
        outcome.stderr.matches("Read-only file system").count(),
        2,
        "{outcome:?}"
    );
}

#[test]
fn tmpfs_can_start_with_a_copy() {
    need_containers!();
    let outcome = Bundle::shell("cat /etc/passwd | head -n 1; stat -c %a /etc; touch /etc/new && echo written")
        .with(|spec| {
            let mount = json!({"destination": "/etc", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup", "nosuid"]});
            push(spec, "/mounts", mount);
        })
        .run();
    assert_eq!(
        outcome.stdout, "root:x:0:0::/root:/bin/sh\n755\nwritten\n",
        "{outcome:?}"
    );
}

#[test]
fn tmpfs_has_the_mode_of_what_it_hides_or_is_open_to_all() {
    need_containers!();
    let outcome = Bundle::shell("stat -c %a /etc /made/here /asked; touch /made/here/file && echo written")
        .with(|spec| {
            spec["process"]["user"] = json!({"uid": 1000, "gid": 1000});
            for (destination, options) in [("/etc", vec![]), ("/made/here", vec![]), ("/asked", vec!["mode=711"])] {
                let mount = json!({"destination": destination, "type": "tmpfs", "source": "tmpfs", "options": options});
                push(spec, "/mounts", mount);
            }
        })
        .run();
    assert_eq!(outcome.stdout, "755\n1777\n711\nwritten\n", "{outcome:?}");
}

#[test]
fn a_symlink_in_the_image_does_not_lead_a_mount_out() {
    need_containers!();
    let outside = tempfile::tempdir().unwrap();
    let bundle = Bundle::shell("cat /evil/sub/file /climb/up/file").with(|spec| {
        for destination in ["/evil/sub/file", "/climb/up/file"] {
            let source = "/proc/self/comm";
            push(
                spec,
                "/mounts",
                json!({"destination": destination, "type": "bind", "source": source, "options": ["bind"]}),
            );
        }
    });
    let upper = bundle.path().join("upper");
    symlink(outside.path(), upper.join("evil")).unwrap();
    symlink("../../../../../../../..", upper.join("climb")).unwrap();
    let outcome = bundle.run();
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert!(
        fs::read_dir(outside.path()).unwrap().next().is_none(),
        "made a file outside the root"
    );
    assert!(
        upper
            .join(outside.path().strip_prefix("/").unwrap())
            .join("sub/file")
            .exists()
    );
}

#[test]
fn proc_behind_a_symlink_is_refused() {
    need_containers!();
    let bundle = Bundle::new(&["/bin/true"]).with(|spec| spec["mounts"][0]["destination"] = json!("/fake"));
    symlink("/tmp", bundle.path().join("upper/fake")).unwrap();
    let error = bundle.create().err().expect("refused").to_string();
    assert!(
        error.contains("/fake") && error.contains("not a symbolic link"),
        "{error}"
    );
}

#[test]
fn nothing_may_be_mounted_inside_procfs() {
    need_containers!();
    let mount = |destination: &str| json!({"destination": destination, "type": "bind", "source": "/dev/null", "options": ["bind"]});
    let error = Bundle::new(&["/bin/true"])
        .with(|spec| push(spec, "/mounts", mount("/proc/self/attr/exec")))
        .create()
        .err()
        .expect("refused");
    assert!(error.to_string().contains("lies inside procfs"), "{error}");
    let outcome = Bundle::new(&["/bin/cat", "/proc/uptime"])
        .with(|spec| push(spec, "/mounts", mount("/proc/uptime")))
        .run();
    assert_eq!((outcome.code, outcome.stdout.as_str()), (0, ""), "{outcome:?}");
}

#[test]
fn many_layers_fit() {
    need_containers!();
    let mut bundle = Bundle::new(&["/bin/cat", "/layer-0", "/layer-119"]);
    let layers: Vec<_> = (0..120)
        .map(|number| {
            let layer = bundle
                .path()
                .join(format!("a-rather-long-name-of-a-layer-directory-{number}"));
            fs::create_dir(&layer).unwrap();
            fs::write(layer.join(format!("layer-{number}")), format!("{number}\n")).unwrap();
            layer.display().to_string()
        })
        .collect();
    let lower = &mut bundle.mounts[0].options[0];
    *lower = format!(
        "lowerdir={}:{}",
        layers.join(":"),
        lower.trim_start_matches("lowerdir=")
    );
    assert!(lower.len() > 4096);
    let outcome = bundle.run();
    assert_eq!(outcome.stdout, "0\n119\n", "{outcome:?}");
}

#[test]
fn several_root_mounts_lie_over_each_other() {
    need_containers!();
    let mut bundle = Bundle::new(&["/bin/cat", "/work/note"]);
    let extra = tempfile::tempdir().unwrap();
    fs::write(extra.path().join("note"), "bound\n").unwrap();
    bundle.mounts.push(RootfsMount {
        fs_type: "bind".into(),
        source: extra.path().display().to_string(),
        target: "work".into(),
        options: vec!["rbind".into(), "ro".into()],
    });
    assert_eq!(bundle.run().stdout, "bound\n");
}

#[test]
fn the_cgroup_view_shows_the_own_group() {
    need_containers!();
    let outcome = Bundle::shell("cat /proc/self/cgroup | grep -v ':/$'; ls -d /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/cgroup.procs 2>/dev/null; touch /sys/fs/cgroup/x").run();
    assert_eq!(
        outcome.stdout.lines().count(),
        1,
        "one file of a view, no path but / in the table: {outcome:?}"
    );
    assert!(outcome.stderr.contains("/sys/fs/cgroup/x"), "{outcome:?}");
}
