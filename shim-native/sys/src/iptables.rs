//! How large the tables of legacy iptables are: `IPT_SO_GET_INFO` of linux/netfilter_ipv4/ip_tables.h, and its twin of IPv6.

use std::mem::size_of;
use std::os::fd::{AsRawFd, OwnedFd};

use napi::Env;
use napi_derive::napi;
use rustix::net::{self, AddressFamily, SocketFlags, SocketType};

use crate::error::{Context, Result, SysError};

/// The same number in `IPT_SO_GET_INFO` and `IP6T_SO_GET_INFO`: both are `XT_BASE_CTL`.
const SO_GET_INFO: i32 = 64;
const TABLE_NAME_BYTES: usize = 32;
const HOOKS: usize = 5;

/// `struct ipt_getinfo` and `struct ip6t_getinfo`.
#[repr(C)]
#[derive(Default)]
struct TableInfo {
    name: [u8; TABLE_NAME_BYTES],
    valid_hooks: u32,
    hook_entry: [u32; HOOKS],
    underflow: [u32; HOOKS],
    num_entries: u32,
    size: u32,
}

#[napi(object)]
pub struct IptablesTable {
    pub entries: u32,
    pub size_bytes: u32,
}

#[napi]
pub fn iptables_table(env: &Env, family: u32, table: String) -> napi::Result<IptablesTable> {
    read(family, &table).map_err(|error| error.into_js(env))
}

fn read(family: u32, table: &str) -> Result<IptablesTable> {
    let info = get_info(family, named(table)?)?;
    Ok(IptablesTable {
        entries: info.num_entries,
        size_bytes: info.size,
    })
}

/// The kernel wants the name to end with a zero.
fn named(table: &str) -> Result<TableInfo> {
    let mut info = TableInfo::default();
    if table.len() >= TABLE_NAME_BYTES {
        return Err(SysError::refused(
            "EINVAL",
            format!("\"{table}\" is too long for a table's name"),
        ));
    }
    info.name[..table.len()].copy_from_slice(table.as_bytes());
    Ok(info)
}

fn get_info(family: u32, mut info: TableInfo) -> Result<TableInfo> {
    let (domain, level) = match family {
        4 => (AddressFamily::INET, libc::IPPROTO_IP),
        6 => (AddressFamily::INET6, libc::IPPROTO_IPV6),
        _ => {
            return Err(SysError::refused(
                "EINVAL",
                format!("family {family} is not 4 or 6"),
            ));
        }
    };
    let socket: OwnedFd =
        net::socket_with(domain, SocketType::DGRAM, SocketFlags::CLOEXEC, None).call("socket")?;
    let mut length = size_of::<TableInfo>() as libc::socklen_t;
    // SAFETY: the pointers are to `info` and `length`, which outlive the call, and `length` is the size of `info`, whose
    // fields are plain numbers.
    let outcome = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            level,
            SO_GET_INFO,
            (&raw mut info).cast(),
            &raw mut length,
        )
    };
    if outcome == 0 {
        return Ok(info);
    }
    let errno = std::io::Error::last_os_error()
        .raw_os_error()
        .unwrap_or(libc::EIO);
    Err(SysError::errno("getsockopt", errno))
}
