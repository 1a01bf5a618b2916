"""Somebody on the nodes' own network who is not one of them.

Watches what nodes send to one of them by UDP, sends it again, cut, joined and changed, and adds noise of its own, under the
addresses of the nodes. Needs a packet socket on the link of its victim; prints how many packets of each kind it sent.

    hostile_peer.py LINK VICTIM_ADDRESS FIRST_PORT LAST_PORT PEER_ADDRESS SEED
"""

import random
import socket
import struct
import sys
import time

WATCH_S = 0.7
WATCHED_MAX = 400
NOISE = 1_500
PROTOCOL_IP = 0x0800
UDP = 17
IP_HEADER = 20
ETHERNET_HEADER = 14
OUTGOING = 4
MTU = 1_500


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packet(source, source_port, target, target_port, payload):
    """An IP packet; UDP without a checksum, which IPv4 allows."""
    body = struct.pack("!HHHH", source_port, target_port, 8 + len(payload), 0) + payload
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, IP_HEADER + len(body), 0, 0, 64, UDP, 0,
                       socket.inet_aton(source), socket.inet_aton(target))
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + body


def watch(link, victim, ports):
    """Frames that went to the victim."""
    link.settimeout(0.1)
    end, seen = time.monotonic() + WATCH_S, []
    while time.monotonic() < end and len(seen) < WATCHED_MAX:
        try:
            frame, (_, _, kind, *_) = link.recvfrom(65_535)
        except TimeoutError:
            continue
        ip = frame[ETHERNET_HEADER:]
        if kind != OUTGOING or len(ip) < IP_HEADER + 8 or ip[9] != UDP or ip[16:20] != socket.inet_aton(victim):
            continue
        # What the kernel will cut into packets only later cannot be sent as one.
        if len(ip) <= MTU and struct.unpack("!H", ip[IP_HEADER + 2:IP_HEADER + 4])[0] in ports:
            seen.append(frame)
    return seen


def changed(chance, frame):
    """The same with some bits of its payload turned, or cut short."""
    begin = ETHERNET_HEADER + IP_HEADER + 8
    payload = bytearray(frame[begin:])
    for _ in range(chance.randint(1, 4)):
        payload[chance.randrange(len(payload))] ^= 1 << chance.randrange(8)
    if chance.random() < 0.3:
        del payload[chance.randint(1, len(payload)):]
    ip = frame[ETHERNET_HEADER:]
    ports = struct.unpack("!HH", ip[IP_HEADER:IP_HEADER + 4])
    again = packet(socket.inet_ntoa(ip[12:16]), ports[0], socket.inet_ntoa(ip[16:20]), ports[1], bytes(payload))
    return frame[:ETHERNET_HEADER] + again


def main(name, victim, first_port, last_port, peer, seed):
    ports = range(int(first_port), int(last_port) + 1)
    chance = random.Random(int(seed))
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as link:
        link.bind((name, 0))
        seen = watch(link, victim, ports)
        assert seen, "nobody talks to the victim"
        # The same again, in another order, twice.
        for frame in seen + chance.sample(seen, len(seen)):
            link.send(frame)
            time.sleep(0.000_5)
        for frame in seen:
            link.send(changed(chance, frame))
            time.sleep(0.000_5)
        ethernet = seen[0][:ETHERNET_HEADER]
        for _ in range(NOISE):
            payload = chance.randbytes(chance.choice([1, 7, 21, 60, 300, 1_200, 1_400]))
            if chance.random() < 0.3:
                # As a first packet of QUIC 1 begins.
                payload = b"\xc3\x00\x00\x00\x01" + payload
            source = (peer, chance.randint(1_024, 65_000))
            link.send(ethernet + packet(*source, victim, chance.choice(ports), payload))
            time.sleep(0.000_3)
        print(f"{2 * len(seen)} packets sent again, {len(seen)} changed ones, {NOISE} of noise")


if __name__ == "__main__":
    main(*sys.argv[1:])
