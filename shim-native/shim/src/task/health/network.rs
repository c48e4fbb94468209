//! A probe that is a connection: made inside the container's network, at its loopback address first.

use super::answer::{Answer, Output};
use super::process::seconds;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// A status line and headers longer than this are no answer.
const MAX_HEAD: usize = 16 << 10;

/// Healthy when a connection is accepted.
pub async fn ask_tcp(init: i32, port: u16, limit: Duration) -> Answer {
    within(limit, async {
        let (_, at) = connect(init, port).await?;
        Ok(Answer {
            exit_code: 0,
            output: format!("connected to {at}"),
        })
    })
    .await
}

/// Healthy when the answer is 2xx or 3xx.
pub async fn ask_http(init: i32, port: u16, host: &str, path: &str, limit: Duration) -> Answer {
    within(limit, async {
        let (mut stream, _) = connect(init, port).await?;
        // HTTP/1.0: an answer in one piece, and the connection's end after it.
        let request =
            format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nUser-Agent: gantry-health-check\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        read_answer(&mut stream).await
    })
    .await
}

async fn within(limit: Duration, asked: impl Future<Output = io::Result<Answer>>) -> Answer {
    let unwell = |output| Answer { exit_code: 1, output };
    match timeout(limit, asked).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => unwell(error.to_string()),
        Err(_) => unwell(format!("Health check exceeded timeout ({})", seconds(limit))),
    }
}

/// Who refuses at one address may listen at another; the first refusal is the one that says most.
async fn connect(init: i32, port: u16) -> io::Result<(TcpStream, SocketAddr)> {
    let mut refusal = None;
    for (socket, address) in sockets(init)? {
        let at = SocketAddr::new(address, port);
        match socket.connect(at).await {
            Ok(stream) => return Ok((stream, at)),
            Err(error) => {
                refusal.get_or_insert_with(|| io::Error::new(error.kind(), format!("{at}: {error}")));
            }
        }
    }
    Err(refusal.unwrap_or_else(|| ErrorKind::AddrNotAvailable.into()))
}

/// A socket of the container's network for each of its addresses. The thread is back in its own before this returns.
fn sockets(init: i32) -> io::Result<Vec<(TcpSocket, IpAddr)>> {
    let own = File::open("/proc/self/ns/net")?;
    let containers = File::open(format!("/proc/{init}/ns/net"))?;
    let enter = |namespace: &File| {
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
            .map_err(io::Error::from)
    };
    enter(&containers)?;
    let made = addresses().into_iter().map(|address| {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()
        } else {
            TcpSocket::new_v6()
        };
        Ok((socket?, address))
    });
    let made = made.collect();
    enter(&own)?;
    made
}

/// Loopback, then those of interfaces; of link-local ones no connection is worth trying.
fn addresses() -> Vec<IpAddr> {
    let mut all = vec![IpAddr::from(Ipv4Addr::LOCALHOST)];
    all.extend(super::interfaces::addresses());
    all.push(IpAddr::from(Ipv6Addr::LOCALHOST));
    all
}

async fn read_answer(stream: &mut TcpStream) -> io::Result<Answer> {
    let mut head = Vec::new();
    let body_at = loop {
        if let Some(at) = end_of_head(&head) {
            break at;
        }
        if head.len() > MAX_HEAD || stream.read_buf(&mut head).await? == 0 {
            break head.len();
        }
    };
    let line = head.split(|&byte| byte == b'\r' || byte == b'\n').next();
    let line = String::from_utf8_lossy(line.unwrap_or_default()).into_owned();
    let status = status_of(&line)
        .ok_or_else(|| io::Error::new(ErrorKind::InvalidData, format!("no HTTP answer: {line:?}")))?;
    let mut body = Output::default();
    body.take(&head[body_at..]);
    let mut piece = [0; 1024];
    while !body.is_full() {
        match stream.read(&mut piece).await? {
            0 => break,
            count => body.take(&piece[..count]),
        }
    }
    let words = line.split_once(' ').map_or("", |(_, words)| words);
    Ok(Answer {
        exit_code: i32::from(!(200..400).contains(&status)),
        output: format!("{words}\n{}", body.text()),
    })
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let at = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    at.map(|at| at + 4)
}

/// Of `HTTP/1.1 200 OK` (RFC 9112, section 4).
fn status_of(line: &str) -> Option<u16> {
    let rest = line.strip_prefix("HTTP/1.")?;
    rest.split(' ').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_line_is_read() {
        assert_eq!(status_of("HTTP/1.1 204 No Content"), Some(204));
        assert_eq!(status_of("HTTP/1.0 404"), Some(404));
        for line in ["", "SSH-2.0-OpenSSH_9", "HTTP/1.1", "HTTP/1.1 x"] {
            assert_eq!(status_of(line), None, "{line}");
        }
    }
}
