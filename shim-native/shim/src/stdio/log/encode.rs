//! Lines of a log as bytes, in the format of Docker's json-file driver.

use crate::stdio::sink::Stream;
use std::io::Write;
use std::time::SystemTime;

/// Longest text of one line, Docker's own limit.
pub const MAX_LINE: usize = 16 << 10;

/// Length of the first line of `text`, newline included, or of a full piece; `None` if it may grow yet.
pub fn next_line(text: &[u8]) -> Option<usize> {
    let window = &text[..text.len().min(MAX_LINE + 1)];
    match window.iter().position(|&byte| byte == b'\n') {
        Some(at) => Some(at + 1),
        None if text.len() >= MAX_LINE => Some(piece(&text[..MAX_LINE])),
        None => None,
    }
}

/// Length of `text` less a UTF-8 sequence cut off at its end.
fn piece(text: &[u8]) -> usize {
    let tail = text.iter().rev().take(3).position(|byte| byte & 0xc0 != 0x80);
    let Some(back) = tail else { return text.len() };
    let lead = text[text.len() - 1 - back];
    let needed = match lead {
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf7 => 4,
        _ => 1,
    };
    if needed > back + 1 {
        text.len() - 1 - back
    } else {
        text.len()
    }
}

/// Appends one line. `attrs` is `,"attrs":{…}` or nothing.
pub fn encode(into: &mut Vec<u8>, stream: Stream, line: &[u8], attrs: &str, time: SystemTime) {
    into.extend_from_slice(b"{\"log\":\"");
    escape(into, line);
    let name = if stream == Stream::Stdout {
        "stdout"
    } else {
        "stderr"
    };
    let time = humantime::format_rfc3339_nanos(time);
    let _ = writeln!(into, "\",\"stream\":\"{name}\"{attrs},\"time\":\"{time}\"}}");
}

/// JSON string escapes as Go writes them, HTML's characters included: readers compare lines bytewise.
fn escape(into: &mut Vec<u8>, text: &[u8]) {
    for chunk in text.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '"' => into.extend_from_slice(b"\\\""),
                '\\' => into.extend_from_slice(b"\\\\"),
                '\n' => into.extend_from_slice(b"\\n"),
                '\r' => into.extend_from_slice(b"\\r"),
                '\0'..='\x1f' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                    let _ = write!(into, "\\u{:04x}", character as u32);
                }
                other => into.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        for _ in chunk.invalid() {
            into.extend_from_slice(b"\\ufffd");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_as_docker_does() {
        let mut out = Vec::new();
        escape(&mut out, b"<a>&\"\\\t\x1b\xff\n");
        assert_eq!(out, br#"\u003ca\u003e\u0026\"\\\u0009\u001b\ufffd\n"#);
    }
}
