//! Links: made and deleted by rtnetlink(7), addressed and raised by netdevice(7).

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// Of <linux/if_link.h> and <linux/veth.h>, where libc has none.
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
const IFINFOMSG: [u8; 16] = [0; 16];

/// Makes a pair: `host` here, `container` in the namespace.
pub fn make_pair(host: &str, container: &str, namespace: &File) -> io::Result<()> {
    let mut peer = IFINFOMSG.to_vec();
    put(&mut peer, libc::IFLA_IFNAME, &terminated(container));
    put(
        &mut peer,
        libc::IFLA_NET_NS_FD,
        &namespace.as_raw_fd().to_ne_bytes(),
    );
    let mut data = Vec::new();
    put(&mut data, VETH_INFO_PEER, &peer);
    let mut info = Vec::new();
    put(&mut info, IFLA_INFO_KIND, b"veth");
    put(&mut info, IFLA_INFO_DATA, &data);
    let mut body = IFINFOMSG.to_vec();
    put(&mut body, libc::IFLA_IFNAME, &terminated(host));
    put(&mut body, libc::IFLA_LINKINFO, &info);
    request(
        libc::RTM_NEWLINK,
        (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16,
        &body,
    )
}

/// Deletes a link here, and its peer with it. One that is not there is deleted already.
pub fn delete(name: &str) -> io::Result<()> {
    let mut body = IFINFOMSG.to_vec();
    put(&mut body, libc::IFLA_IFNAME, &terminated(name));
    match request(libc::RTM_DELLINK, 0, &body) {
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(()),
        other => other,
    }
}

/// Gives a link of the calling thread's namespace its address in a network of two, and raises it.
pub fn raise(name: &str, address: Ipv4Addr) -> io::Result<()> {
    let socket = socket(libc::AF_INET, libc::SOCK_DGRAM, 0)?;
    for (command, value) in [
        (libc::SIOCSIFADDR, address),
        (libc::SIOCSIFNETMASK, Ipv4Addr::new(255, 255, 255, 254)),
    ] {
        let mut wish = named(name);
        let inet = libc::sockaddr_in {
            sin_family: libc::AF_INET as u16,
            sin_port: 0,
            sin_addr: libc::in_addr {
                s_addr: u32::from(value).to_be(),
            },
            sin_zero: [0; 8],
        };
        // SAFETY: both are 16 bytes of plain data, and the kernel reads them as the family says.
        wish.ifr_ifru.ifru_addr = unsafe { std::mem::transmute::<libc::sockaddr_in, libc::sockaddr>(inet) };
        control(&socket, command, &mut wish)?;
    }
    let mut wish = named(name);
    wish.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as i16;
    control(&socket, libc::SIOCSIFFLAGS, &mut wish)
}

/// The six bytes of its hardware address. ENODEV: there is no such link in the calling thread's namespace.
pub fn mac(name: &str) -> io::Result<String> {
    let mut answer = named(name);
    control(
        &socket(libc::AF_INET, libc::SOCK_DGRAM, 0)?,
        libc::SIOCGIFHWADDR,
        &mut answer,
    )?;
    // SAFETY: SIOCGIFHWADDR has filled in this member.
    let bytes = unsafe { answer.ifr_ifru.ifru_hwaddr.sa_data };
    Ok(bytes[..6]
        .iter()
        .map(|byte| format!("{:02x}", *byte as u8))
        .collect::<Vec<_>>()
        .join(":"))
}

/// Does `work` in a namespace, on a thread that ends with it.
pub fn inside<T: Send>(namespace: &File, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
            work()
        });
        worker
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the thread in the namespace panicked")))
    })
}

fn named(name: &str) -> libc::ifreq {
    // SAFETY: all zeroes is a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (place, byte) in request
        .ifr_name
        .iter_mut()
        .take(libc::IFNAMSIZ - 1)
        .zip(name.bytes())
    {
        *place = byte as libc::c_char;
    }
    request
}

fn terminated(name: &str) -> Vec<u8> {
    [name.as_bytes(), &[0]].concat()
}

/// Appends an attribute; each begins at a multiple of four bytes.
fn put(body: &mut Vec<u8>, kind: u16, value: &[u8]) {
    body.extend(((value.len() + 4) as u16).to_ne_bytes());
    body.extend(kind.to_ne_bytes());
    body.extend(value);
    body.resize(body.len().next_multiple_of(4), 0);
}

/// One message of rtnetlink(7), and its acknowledgement.
fn request(kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
    let socket = socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE)?;
    let flags = flags | (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;
    let mut message = ((body.len() + 16) as u32).to_ne_bytes().to_vec();
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend([0; 8]);
    message.extend(body);
    let mut answer = [0u8; 4096];
    // SAFETY: the pointers are to buffers of the lengths given with them.
    let received = unsafe {
        if libc::send(socket.as_raw_fd(), message.as_ptr().cast(), message.len(), 0) < 0 {
            return Err(io::Error::last_os_error());
        }
        libc::recv(socket.as_raw_fd(), answer.as_mut_ptr().cast(), answer.len(), 0)
    };
    if received < 20 {
        return Err(io::Error::last_os_error());
    }
    match i32::from_ne_bytes([answer[16], answer[17], answer[18], answer[19]]) {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(-error)),
    }
}

fn control(socket: &OwnedFd, command: libc::Ioctl, request: &mut libc::ifreq) -> io::Result<()> {
    // SAFETY: these commands read and write one ifreq.
    match unsafe { libc::ioctl(socket.as_raw_fd(), command, request) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn socket(family: i32, kind: i32, protocol: i32) -> io::Result<OwnedFd> {
    // SAFETY: a descriptor that was just made has no other owner.
    unsafe {
        match libc::socket(family, kind | libc::SOCK_CLOEXEC, protocol) {
            fd if fd >= 0 => Ok(OwnedFd::from_raw_fd(fd)),
            _ => Err(io::Error::last_os_error()),
        }
    }
}
