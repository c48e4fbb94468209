//! Namespaces, masked and read-only paths, seccomp, sysctls.

use crate::need_containers;
use crate::support::{Bundle, push};
use serde_json::json;

#[test]
fn a_container_sees_its_own_world() {
    need_containers!();
    let outcome = Bundle::shell("hostname; echo $$; ls /proc | grep -c '^[0-9]'; readlink /proc/self/ns/net; grep -c : /proc/net/dev; cat /proc/1/comm").run();
    let lines: Vec<_> = outcome.stdout.lines().collect();
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert_eq!(lines[..2], ["inside", "1"]);
    let host = std::fs::read_link("/proc/self/ns/net").unwrap();
    assert_ne!(lines[3], host.to_string_lossy());
    assert_eq!(lines[4], "1", "only the loopback device: {outcome:?}");
}

#[test]
fn masked_paths_are_empty() {
    need_containers!();
    let outcome = Bundle::shell(
        "dd if=/proc/kcore bs=1 count=1 2>/dev/null | wc -c; ls /sys/firmware | wc -l; touch /sys/firmware/x",
    )
    .run();
    assert_eq!(outcome.stdout, "0\n0\n", "{outcome:?}");
    assert!(outcome.stderr.contains("Read-only file system"), "{outcome:?}");
}

#[test]
fn read_only_paths_refuse_writing() {
    need_containers!();
    let outcome = Bundle::shell("echo 1 > /proc/sys/kernel/hostname; cat /proc/sys/kernel/hostname").run();
    assert!(outcome.stderr.contains("Read-only file system"), "{outcome:?}");
    assert_eq!(outcome.stdout, "inside\n");
}

#[test]
fn seccomp_denies_with_the_errno_it_was_told() {
    need_containers!();
    let policy = json!({
        "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
        "syscalls": [
            {"names": ["unshare", "mount"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1},
            {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 36}
        ]
    });
    for no_new_privileges in [false, true] {
        let outcome = Bundle::shell(
            "mkdir /tmp/x; unshare -u true; mount -t tmpfs x /tmp; grep Seccomp: /proc/self/status",
        )
        .with(|spec| {
            spec["linux"]["seccomp"] = policy.clone();
            spec["process"]["noNewPrivileges"] = json!(no_new_privileges);
            for set in ["bounding", "effective", "permitted"] {
                push(
                    spec,
                    &format!("/process/capabilities/{set}"),
                    json!("CAP_SYS_ADMIN"),
                );
            }
        })
        .run();
        assert!(outcome.stderr.contains("File name too long"), "{outcome:?}");
        assert!(
            outcome
                .stderr
                .contains("unshare(0x4000000): Operation not permitted"),
            "{outcome:?}"
        );
        assert!(outcome.stderr.contains("mount: permission denied"), "{outcome:?}");
        assert_eq!(outcome.stdout, "Seccomp:\t2\n");
    }
}

#[test]
fn seccomp_can_kill() {
    need_containers!();
    let policy = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["uname"], "action": "SCMP_ACT_KILL_PROCESS"}]
    });
    let outcome = Bundle::new(&["/bin/busybox", "uname"])
        .with(|spec| spec["linux"]["seccomp"] = policy)
        .run();
    assert_eq!(outcome.code, 128 + libc::SIGSYS, "{outcome:?}");
}

#[test]
fn sysctls_of_own_namespaces_are_set() {
    need_containers!();
    let outcome = Bundle::shell("cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmni")
        .with(|spec| spec["linux"]["sysctl"] = json!({"net.ipv4.ip_forward": "1", "kernel.shmmni": "77"}))
        .run();
    assert_eq!(outcome.stdout, "1\n77\n", "{outcome:?}");
}

#[test]
fn a_network_namespace_is_joined_by_path() {
    need_containers!();
    let other = Bundle::new(&["/bin/sleep", "60"]).started();
    let path = format!("/proc/{}/ns/net", other.container.init_pid());
    let wanted = std::fs::read_link(&path).unwrap();
    let outcome = Bundle::new(&["/bin/readlink", "/proc/self/ns/net"])
        .with(|spec| {
            let list = spec["linux"]["namespaces"].as_array_mut().unwrap();
            list.iter_mut().find(|n| n["type"] == "network").unwrap()["path"] = json!(path);
        })
        .run();
    assert_eq!(outcome.stdout.trim(), wanted.to_string_lossy());
    other.end();
}

#[test]
fn pid_ipc_and_uts_namespaces_are_joined_too() {
    need_containers!();
    let other = Bundle::new(&["/bin/sleep", "60"]).started();
    let pid = other.container.init_pid();
    let outcome =
        Bundle::shell("hostname; cat /proc/1/comm; test $$ -gt 1 && echo later; readlink /proc/self/ns/ipc")
            .with(|spec| {
                for namespace in spec["linux"]["namespaces"].as_array_mut().unwrap() {
                    let kind = namespace["type"].as_str().unwrap().to_owned();
                    if ["pid", "ipc", "uts"].contains(&kind.as_str()) {
                        namespace["path"] = json!(format!("/proc/{pid}/ns/{kind}"));
                    }
                }
                spec["hostname"] = json!("");
            })
            .run();
    let ipc = std::fs::read_link(format!("/proc/{pid}/ns/ipc")).unwrap();
    assert_eq!(
        outcome.stdout,
        format!("inside\nsleep\nlater\n{}\n", ipc.display()),
        "{outcome:?}"
    );
    other.end();
}

#[test]
fn a_time_namespace_has_its_offset() {
    need_containers!();
    if !std::path::Path::new("/proc/self/ns/time").exists() {
        eprintln!("skipped: this kernel has no time namespaces");
        return;
    }
    let outcome = Bundle::shell("cat /proc/uptime")
        .with(|spec| {
            push(spec, "/linux/namespaces", json!({"type": "time"}));
            spec["linux"]["timeOffsets"] = json!({"boottime": {"secs": 100000000}});
        })
        .run();
    let uptime: f64 = outcome.stdout.split(' ').next().unwrap().parse().unwrap();
    assert!(uptime > 100_000_000.0, "{outcome:?}");
}
