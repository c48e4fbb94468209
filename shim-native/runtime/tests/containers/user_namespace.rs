//! User namespaces.

use crate::need_containers;
use crate::support::{Bundle, push, wait};
use serde_json::json;
use std::fs;
use std::os::unix::fs::MetadataExt;

fn mapped(bundle: Bundle) -> Bundle {
    bundle.with(|spec| {
        push(spec, "/linux/namespaces", json!({"type": "user"}));
        let map = json!([{"containerID": 0, "hostID": 100000, "size": 65536}]);
        spec["linux"]["uidMappings"] = map.clone();
        spec["linux"]["gidMappings"] = map;
    })
}

#[test]
fn root_inside_is_nobody_outside() {
    need_containers!();
    let bundle = mapped(Bundle::shell("id -u; cat /proc/self/uid_map; touch /tmp/mine && stat -c %u /tmp/mine; test -c /dev/null && echo x > /dev/null && echo null; hostname"))
        .with(|spec| {
            let mount = json!({"destination": "/tmp", "type": "bind", "source": "shared", "options": ["rbind"]});
            push(spec, "/mounts", mount);
        });
    let shared = bundle.path().join("shared");
    fs::create_dir(&shared).unwrap();
    std::os::unix::fs::chown(&shared, Some(100000), Some(100000)).unwrap();
    let outcome = bundle.run();
    let lines: Vec<_> = outcome.stdout.lines().map(str::trim).collect();
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert_eq!(lines[0], "0");
    assert_eq!(
        lines[1].split_whitespace().collect::<Vec<_>>(),
        ["0", "100000", "65536"]
    );
    assert_eq!(lines[2..], ["0", "null", "inside"]);
    assert_eq!(fs::metadata(shared.join("mine")).unwrap().uid(), 100000);
}

#[test]
fn the_process_is_unprivileged_on_the_host() {
    need_containers!();
    let running = mapped(Bundle::new(&["/bin/sleep", "60"])).started();
    let status = fs::read_to_string(format!("/proc/{}/status", running.container.init_pid())).unwrap();
    assert!(
        status.contains("Uid:\t100000\t100000\t100000\t100000"),
        "{status}"
    );
    let process = json!({"user": {"uid": 5, "gid": 6}, "args": ["/bin/sh", "-c", "id -u; id -g"], "env": ["PATH=/bin"], "cwd": "/"});
    let (streams, stdio) = crate::support::Streams::new();
    let options = gantry_runtime::ExecOptions {
        stdio,
        no_new_keyring: false,
        io_owner: None,
    };
    let exec = running
        .container
        .exec(&serde_json::from_value(process).unwrap(), options)
        .unwrap();
    assert_eq!(streams.read().0, "5\n6\n");
    wait(exec.pid);
    running.end();
}

#[test]
fn a_pinned_network_namespace_of_the_host_is_joined() {
    need_containers!();
    let other = Bundle::new(&["/bin/sleep", "60"]).started();
    let path = format!("/proc/{}/ns/net", other.container.init_pid());
    let wanted = fs::read_link(&path).unwrap();
    let outcome = mapped(Bundle::new(&["/bin/readlink", "/proc/self/ns/net"]))
        .with(|spec| {
            let list = spec["linux"]["namespaces"].as_array_mut().unwrap();
            list.iter_mut().find(|n| n["type"] == "network").unwrap()["path"] = json!(path);
            // sysfs may only be mounted by who owns the network namespace.
            let bind =
                json!({"destination": "/sys", "type": "bind", "source": "/sys", "options": ["rbind", "ro"]});
            spec["mounts"]
                .as_array_mut()
                .unwrap()
                .retain(|m| !m["destination"].as_str().unwrap().starts_with("/sys"));
            push(spec, "/mounts", bind);
        })
        .run();
    assert_eq!(outcome.stdout.trim(), wanted.to_string_lossy(), "{outcome:?}");
    other.end();
}

#[test]
fn an_id_mapped_mount_shows_mapped_owners() {
    need_containers!();
    let source = tempfile::tempdir().unwrap();
    fs::write(source.path().join("file"), "").unwrap();
    let map = json!([{"containerID": 0, "hostID": 7000, "size": 10}]);
    let outcome = Bundle::new(&["/bin/stat", "-c", "%u:%g", "/data/file"])
        .with(|spec| {
            let mount = json!({"destination": "/data", "type": "bind", "source": source.path(), "options": ["bind", "idmap"],
                "uidMappings": map, "gidMappings": map});
            push(spec, "/mounts", mount);
        })
        .run();
    assert_eq!(outcome.stdout, "7000:7000\n", "{outcome:?}");
}

#[test]
fn a_user_namespace_needs_its_maps() {
    need_containers!();
    let error = Bundle::new(&["/bin/true"])
        .with(|spec| push(spec, "/linux/namespaces", json!({"type": "user"})))
        .create()
        .err()
        .expect("refused")
        .to_string();
    assert!(error.contains("linux.uidMappings"), "{error}");
}
