//! Who the process is and what it may do.

use crate::need_containers;
use crate::support::{Bundle, push};
use gantry_runtime::Step;
use serde_json::json;

#[test]
fn capabilities_are_exactly_those_asked_for() {
    need_containers!();
    let sets = |outcome: &str, name: &str| -> u64 {
        let line = outcome.lines().find(|line| line.starts_with(name)).unwrap();
        u64::from_str_radix(line.split('\t').nth(1).unwrap(), 16).unwrap()
    };
    let wanted: u64 = [0, 1, 3, 27, 6, 7, 5].iter().map(|number| 1u64 << number).sum();
    let root = Bundle::new(&["/bin/cat", "/proc/self/status"]).run();
    for name in ["CapPrm", "CapEff", "CapBnd"] {
        assert_eq!(sets(&root.stdout, name), wanted, "{name}");
    }
    let user = Bundle::new(&["/bin/cat", "/proc/self/status"])
        .with(|spec| {
            spec["process"]["user"] =
                json!({"uid": 33, "gid": 33, "additionalGids": [44, 55], "umask": 0o027});
            spec["process"]["capabilities"]["inheritable"] = json!(["CAP_KILL"]);
            spec["process"]["capabilities"]["ambient"] = json!(["CAP_KILL"]);
        })
        .run();
    assert_eq!(
        (sets(&user.stdout, "CapAmb"), sets(&user.stdout, "CapEff")),
        (1 << 5, 1 << 5)
    );
    assert!(
        user.stdout.contains("Uid:\t33\t33\t33\t33") && user.stdout.contains("Groups:\t44 55"),
        "{user:?}"
    );
    assert!(user.stdout.contains("Umask:\t0027"), "{user:?}");
}

#[test]
fn what_the_host_cannot_grant_is_left_out_with_a_warning() {
    need_containers!();
    let held = rustix::thread::capabilities(None).unwrap().permitted;
    let outcome = Bundle::new(&["/bin/true"])
        .with(|spec| {
            for set in ["bounding", "effective", "permitted"] {
                push(
                    spec,
                    &format!("/process/capabilities/{set}"),
                    json!("CAP_SYS_RESOURCE"),
                );
            }
        })
        .run();
    let warned = outcome
        .warnings
        .iter()
        .any(|w| w.step == Step::Capabilities && w.message.contains("CAP_SYS_RESOURCE"));
    assert_eq!(outcome.code, 0);
    assert_eq!(
        warned,
        !held.contains(rustix::thread::CapabilitySet::SYS_RESOURCE),
        "{outcome:?}"
    );
}

#[test]
fn rlimits_are_set_and_clamped_with_a_warning() {
    need_containers!();
    let limit = |soft: u64, hard: u64| json!([{"type": "RLIMIT_NOFILE", "soft": soft, "hard": hard}]);
    let low = Bundle::shell("ulimit -Sn; ulimit -Hn")
        .with(|spec| spec["process"]["rlimits"] = limit(100, 200))
        .run();
    assert_eq!(low.stdout, "100\n200\n", "{low:?}");
    assert!(low.warnings.is_empty());
    // More than fs.nr_open allows anybody.
    let high = Bundle::shell("ulimit -Hn")
        .with(|spec| spec["process"]["rlimits"] = limit(1 << 40, 1 << 40))
        .run();
    let hard = rustix::process::getrlimit(rustix::process::Resource::Nofile)
        .maximum
        .unwrap();
    assert_eq!(high.stdout, format!("{hard}\n"), "{high:?}");
    let warning = high
        .warnings
        .iter()
        .find(|w| w.step == Step::Rlimit)
        .expect("a warning");
    assert!(
        warning
            .message
            .starts_with("RLIMIT_NOFILE: asked soft 1099511627776"),
        "{}",
        warning.message
    );
}

#[test]
fn home_and_cwd_are_provided() {
    need_containers!();
    let outcome = Bundle::shell("echo $HOME; pwd; stat -c %u .")
        .with(|spec| {
            spec["process"]["user"] = json!({"uid": 33, "gid": 33});
            spec["process"]["cwd"] = json!("/not/there/yet");
        })
        .run();
    assert_eq!(outcome.stdout, "/work\n/not/there/yet\n0\n", "{outcome:?}");
}

#[test]
fn no_new_privileges_and_oom_score_reach_the_process() {
    need_containers!();
    let outcome = Bundle::shell("grep NoNewPrivs /proc/self/status; cat /proc/self/oom_score_adj")
        .with(|spec| {
            spec["process"]["noNewPrivileges"] = json!(true);
            spec["process"]["oomScoreAdj"] = json!(321);
        })
        .run();
    assert_eq!(outcome.stdout, "NoNewPrivs:\t1\n321\n", "{outcome:?}");
}

#[test]
fn no_descriptor_of_the_caller_gets_in() {
    need_containers!();
    let secret = std::fs::File::open("/etc/hostname").unwrap();
    rustix::io::fcntl_setfd(&secret, rustix::io::FdFlags::empty()).unwrap();
    let outcome = Bundle::shell(
        "ls /proc/self/fd | wc -l; exec /bin/busybox env -i /bin/grep SigIgn /proc/self/status",
    )
    .run();
    // 0, 1, 2 and the directory being listed.
    assert_eq!(outcome.stdout, "4\nSigIgn:\t0000000000000000\n", "{outcome:?}");
}

#[test]
fn a_32_bit_personality_is_seen() {
    need_containers!();
    let outcome = Bundle::new(&["/bin/busybox", "uname", "-m"])
        .with(|spec| spec["linux"]["personality"] = json!({"domain": "LINUX32"}))
        .run();
    let expected = if cfg!(target_arch = "x86_64") {
        "i686\n"
    } else {
        "armv8l\n"
    };
    assert_eq!(outcome.stdout, expected, "{outcome:?}");
}
