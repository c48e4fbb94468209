"""Either end of the beginning of an sctp association (RFC 9260), by raw sockets:

    serve 4|6 PORT                answers each INIT to the port with an INIT ACK
    ask 4|6 HOST PORT SECONDS     sends an INIT and prints what answers
"""

import socket
import struct
import sys

SCTP = 132
INIT, INIT_ACK = 1, 2


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def packet(source, destination, tag, kind, own_tag):
    chunk = struct.pack("!BBHIIHHI", kind, 0, 20, own_tag, 65536, 1, 1, 7)
    header = struct.pack("!HHI", source, destination, tag)
    return header + struct.pack("<I", crc32c(header + bytes(4) + chunk)) + chunk


def parts(data, family):
    """Source port, destination port, kind of the first chunk and its sender's tag; an IPv4 header comes along."""
    body = data[(data[0] & 15) * 4 :] if family == socket.AF_INET else data
    source, destination = struct.unpack("!HH", body[:4])
    return source, destination, body[12], struct.unpack("!I", body[16:20])[0]


def serve(family, port):
    raw = socket.socket(family, socket.SOCK_RAW, SCTP)
    print("ready", flush=True)
    while True:
        data, peer = raw.recvfrom(2048)
        source, destination, kind, tag = parts(data, family)
        if destination == port and kind == INIT:
            raw.sendto(packet(port, source, tag, INIT_ACK, 99), (peer[0], 0))


def ask(family, host, port, seconds):
    raw = socket.socket(family, socket.SOCK_RAW, SCTP)
    raw.settimeout(seconds)
    raw.sendto(packet(40000, port, 0, INIT, 42), (host, 0))
    try:
        while True:
            source, destination, kind, _ = parts(raw.recvfrom(2048)[0], family)
            if destination == 40000 and kind == INIT_ACK:
                return f"INIT ACK from port {source}"
    except OSError as error:
        return f"no answer: {error}"


verb, family, *rest = sys.argv[1:]
family = socket.AF_INET if family == "4" else socket.AF_INET6
if verb == "serve":
    serve(family, int(rest[0]))
else:
    print(ask(family, rest[0], int(rest[1]), float(rest[2])))
