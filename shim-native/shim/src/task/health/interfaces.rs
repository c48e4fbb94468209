//! The addresses of the network that this thread is in (getifaddrs(3)).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ptr;

/// Without loopback and link-local ones; none when the kernel does not tell.
pub fn addresses() -> Vec<IpAddr> {
    let mut first = ptr::null_mut();
    // SAFETY: `first` is a valid place for the list.
    if unsafe { libc::getifaddrs(&raw mut first) } != 0 {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut entry = first;
    // SAFETY: the entries are valid until the list is freed below; the last one's `ifa_next` is null.
    while let Some(interface) = unsafe { entry.as_ref() } {
        // SAFETY: the address, if there is one, is as long as its family says.
        found.extend(unsafe { address(interface.ifa_addr) }.filter(is_reachable));
        entry = interface.ifa_next;
    }
    // SAFETY: the list is the one that was made above, and nothing of it is used any more.
    unsafe { libc::freeifaddrs(first) };
    found
}

fn is_reachable(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local(),
        IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unicast_link_local(),
    }
}

/// # Safety
/// `at` is null, or points to a socket address that is as long as its family's are.
unsafe fn address(at: *const libc::sockaddr) -> Option<IpAddr> {
    // SAFETY: as the caller promises.
    let family = unsafe { at.as_ref() }?.sa_family;
    match i32::from(family) {
        libc::AF_INET => {
            // SAFETY: the family says that it is one of these.
            let v4 = unsafe { ptr::read_unaligned(at.cast::<libc::sockaddr_in>()) };
            Some(Ipv4Addr::from_bits(u32::from_be(v4.sin_addr.s_addr)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let v6 = unsafe { ptr::read_unaligned(at.cast::<libc::sockaddr_in6>()) };
            Some(Ipv6Addr::from(v6.sin6_addr.s6_addr).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn loopback_is_left_out() {
        assert!(super::addresses().iter().all(|address| !address.is_loopback()));
    }
}
