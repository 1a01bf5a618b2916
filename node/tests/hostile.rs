//! Hostile input beside a client that behaves well: an error or a closed connection within a second, memory bounded,
//! nobody else disturbed.

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use support::bounds::{PATIENCE, assert_growth_below, resident, undisturbed};
use support::frames::{self, Connection, Frame, Reply};
use support::lines::Random;
use support::process::{Observed, hard_limit_of_files};
use support::server::{Options, Server};
use support::tools;
use support::whole_machine;
use support::witness::Witness;

/// What may honestly wait for longer: for records, or for the other members of a group.
const WAITING: [i16; 3] = [frames::FETCH, frames::JOIN_GROUP, frames::SYNC_GROUP];
#[test]
fn frames_that_are_no_requests_are_closed_at_once() {
    let _alone = whole_machine();
    let mut server = Server::start("not-kafka");
    let witness = Witness::start(server.address(), "witness");
    let before = resident(&server);
    let too_large = (100_i32 << 20) + 1;
    let openings: [(&str, Vec<u8>); 9] = [
        ("a negative size", (-1_i32).to_be_bytes().to_vec()),
        ("the smallest size", i32::MIN.to_be_bytes().to_vec()),
        ("no bytes at all", 0_i32.to_be_bytes().to_vec()),
        ("less than a header", [&3_i32.to_be_bytes()[..], &[0, 18, 0]].concat()),
        ("one byte above the limit", too_large.to_be_bytes().to_vec()),
        ("the largest size", i32::MAX.to_be_bytes().to_vec()),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()),
        ("HTTP", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        ("SSH", b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n".to_vec()),
    ];
    for round in 0..1_000 {
        let (name, bytes) = &openings[round % openings.len()];
        let mut connection = Connection::open(server.address()).expect("the server accepts");
        connection.send(bytes);
        let reply = connection.receive(PATIENCE);
        assert_eq!(reply, Reply::Closed, "{name}");
    }
    assert_growth_below(&server, before, 16);
    undisturbed(&witness.finish());
    server.assert_alive();
}

#[test]
fn nothing_is_reserved_for_bytes_that_do_not_come() {
    let _alone = whole_machine();
    let mut server = Server::start("announced");
    let witness = Witness::start(server.address(), "witness");
    let before = resident(&server);
    let announced = (100_i32 << 20).to_be_bytes();
    let held: Vec<Connection> = (0..500)
        .map(|_| {
            let mut connection = Connection::open(server.address()).expect("the server accepts");
            assert!(connection.send(&[&announced[..], &[0, 0, 0, 7, 0, 0]].concat()));
            connection
        })
        .collect();
    std::thread::sleep(Duration::from_millis(500));
    assert_growth_below(&server, before, 128);
    drop(held);
    undisturbed(&witness.finish());
    server.assert_alive();
}

/// Requests made from valid ones: lengths replaced, bits flipped, ends cut off.
fn mutations(request: &[u8], random: &mut Random) -> Vec<Vec<u8>> {
    /// What decoders trip over: the extremes, and counts that would need gigabytes.
    const LENGTHS: [u32; 6] = [0x7fff_ffff, 0xffff_ffff, 0xffff_fffe, 0x8000_0000, 0x00ff_ffff, 0x7f7f_7f7f];
    const MUTATIONS_EACH: usize = 40;
    let mut made = Vec::new();
    let header = 10.min(request.len());
    for _ in 0..MUTATIONS_EACH {
        let mut mutated = request.to_vec();
        let span = u64::try_from(request.len() - header).expect("small").max(1);
        let at = header + usize::try_from(random.below(span)).expect("small");
        match random.below(5) {
            0 => mutated.truncate(at),
            1 => {
                let length = LENGTHS[usize::try_from(random.below(6)).expect("small")].to_be_bytes();
                let end = (at + 4).min(mutated.len());
                mutated[at.min(end)..end].copy_from_slice(&length[..end - at.min(end)]);
            }
            2 => {
                // A varint that asks for much, or does not end.
                let end = (at + 5).min(mutated.len());
                mutated[at.min(end)..end].fill(0xff);
            }
            3 => {
                if let Some(byte) = mutated.get_mut(at) {
                    *byte ^= 1 << random.below(8);
                }
            }
            _ => {
                let noise: Vec<u8> = (0..random.below(64)).map(|_| random.next().to_le_bytes()[0]).collect();
                mutated.splice(at.min(request.len()).., noise);
            }
        }
        made.push(mutated);
    }
    made
}

#[test]
fn mutated_requests_of_every_version() {
    let _alone = whole_machine();
    let mut server = Server::start("mutated");
    let text =
        fs::read_to_string(tools::sources().join("recorded/requests.hex")).expect("the requests can be read");
    let requests: Vec<Vec<u8>> = text.lines().map(from_hex).collect();
    let witness = Witness::start(server.address(), "witness");
    let before = resident(&server);
    let mut random = Random::new(20_251_122);
    let (mut sent, mut closed, mut answered, mut parked) = (0, 0, 0, 0);
    let mut connection = Connection::open(server.address()).expect("the server accepts");
    for request in &requests {
        let key = i16::from_be_bytes([request[0], request[1]]);
        let waits = WAITING.contains(&key);
        // A count that was changed may be an honest order for a thousand partitions: that takes its time.
        let creates = [frames::CREATE_TOPICS, frames::CREATE_PARTITIONS].contains(&key);
        let patience = if creates { PATIENCE * 10 } else { PATIENCE };
        for mutated in mutations(request, &mut random) {
            // The question behind it must be answered, unless the connection is closed: also where the first has no answer.
            let question = frames::api_versions(0x0551);
            sent += 1;
            let whole = [frames::with_size(&mutated), question].concat();
            let mut reply =
                if connection.send(&whole) { connection.receive(patience) } else { Reply::Closed };
            if let Reply::Frame(frame) = &reply
                && frame[..4] != 0x0551_i32.to_be_bytes()
            {
                answered += 1;
                reply = connection.receive(patience);
            }
            match reply {
                Reply::Frame(frame) => {
                    assert_eq!(frame[..4], 0x0551_i32.to_be_bytes(), "an answer to nothing");
                    continue;
                }
                Reply::Closed => closed += 1,
                // A fetch may now ask to wait for weeks, and a member for others.
                Reply::Silence if waits => parked += 1,
                Reply::Silence => panic!("no answer within {patience:?} to {}", to_hex(&mutated)),
            }
            connection = Connection::open(server.address()).expect("the server accepts");
        }
    }
    println!("{sent} frames: {answered} answered, {closed} closed, {parked} left waiting");
    assert!(sent > 2_000 && closed > 100, "the frames are not hostile enough");
    assert_growth_below(&server, before, 256);
    undisturbed(&witness.finish());
    server.assert_alive();
}

#[test]
fn noise_for_every_api_and_version() {
    let _alone = whole_machine();
    let mut server = Server::start("noise");
    let witness = Witness::start(server.address(), "witness");
    let before = resident(&server);
    let mut random = Random::new(7);
    for key in (0..=95).chain([-1, 1_000, i16::MAX]) {
        for version in (0..=13).chain([-1, 99, i16::MAX]) {
            for fill in [0x00, 0x7f, 0xff, 0x80, 0x100] {
                let body: Vec<u8> = (0..random.below(120) + 8)
                    .map(|_| u8::try_from(fill).unwrap_or_else(|_| random.next().to_le_bytes()[0]))
                    .collect();
                let frame = Frame::request(key, version, 9).raw(&body).finish();
                let mut connection = Connection::open(server.address()).expect("the server accepts");
                connection.send(&[frame, frames::api_versions(10)].concat());
                let reply = connection.receive(PATIENCE);
                let waits = WAITING.contains(&key);
                assert!(
                    reply != Reply::Silence || waits,
                    "no answer to key {key}, version {version}, {fill:#x}"
                );
            }
        }
    }
    assert_growth_below(&server, before, 256);
    undisturbed(&witness.finish());
    server.assert_alive();
}

/// Compressed records that become very large, on topics whose settings make the server look into them.
#[test]
fn decompression_is_bounded() {
    let _alone = whole_machine();
    let class_path = or_skip!(tools::java_program("client", tools::JAVA_CLIENTS[1]));
    let mut server = Server::start("bombs");
    let witness = Witness::start(server.address(), "witness");
    let settings = [("compression.type", "uncompressed"), ("cleanup.policy", "compact")];
    for (index, setting) in settings.iter().enumerate() {
        frames::create_topic(server.address(), &format!("bombs-{index}"), 1, &[*setting]);
    }
    // As much as fits into a batch of the usual size. (Snappy makes at most twenty bytes of one.)
    for (codec, id, zeros) in [("gzip", 1, "800000000"), ("lz4", 3, "200000000"), ("zstd", 4, "1073741824")] {
        let output =
            tools::run(tools::java(&class_path).args(["Bomb", codec, zeros])).expect("a bomb is made");
        let records = from_hex(output.trim());
        let batch = frames::batch_of(&records, 1, id);
        assert!(batch.len() < 1_000_000, "{codec}: {} bytes are refused for their size alone", batch.len());
        for index in 0..settings.len() {
            let before = resident(&server);
            let mut connection = Connection::open(server.address()).expect("the server accepts");
            let begin = Instant::now();
            let answer = connection.ask(&frames::produce(1, &format!("bombs-{index}"), 0, -1, &batch));
            let took = begin.elapsed();
            let (error, _) = frames::produced(&answer);
            println!("{codec}, {} bytes: error {error} after {took:?}", batch.len());
            assert_ne!(error, 0, "{codec}: {zeros} bytes from {} are accepted", batch.len());
            assert!(took < PATIENCE, "{codec}: refused only after {took:?}");
            assert_growth_below(&server, before, 256);
        }
    }
    // A snappy block that says it holds two gigabytes, in twelve bytes.
    let block = [&b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01\0\0\0\x06"[..], &b"\xff\xff\xff\xff\x07\0"[..]].concat();
    for records in [block, b"\xff\xff\xff\xff\x07\0\0\0\0\0\0\0".to_vec()] {
        let mut connection = Connection::open(server.address()).expect("the server accepts");
        let batch = frames::batch_of(&records, 1, 2);
        let (error, _) = frames::produced(&connection.ask(&frames::produce(1, "bombs-0", 0, -1, &batch)));
        assert_ne!(error, 0, "a snappy block that lies is accepted");
    }
    undisturbed(&witness.finish());
    server.assert_alive();
}

#[test]
fn no_name_leads_out_of_the_data_directory() {
    let _alone = whole_machine();
    let mut server = Server::start("names");
    let mut connection = Connection::open(server.address()).expect("the server accepts");
    let long = "n".repeat(250);
    let names = [
        "",
        ".",
        "..",
        "../escaped",
        "/tmp/escaped",
        "a/b",
        "a\\b",
        "a\0b",
        "a b",
        "a:b",
        "ü",
        "\u{202e}a",
        "%2e%2e",
        &long,
    ];
    for name in names {
        let answer = connection.ask(&frames::create_topics(&[name.to_owned()], 1, &[]));
        let mut answer = frames::Answer(&answer);
        answer.i32();
        answer.i32();
        answer.string();
        assert_eq!(answer.i16(), 17, "INVALID_TOPIC_EXCEPTION for {name:?}");
        // Metadata version 1 creates topics by being asked.
        let ask = Frame::request(frames::METADATA, 1, 1).i32(1).string(name).finish();
        assert!(connection.send(&ask));
        assert!(matches!(connection.receive(PATIENCE), Reply::Frame(_)), "Metadata of {name:?}");
        let batch = frames::batch(&[b"x"]);
        let (error, _) = frames::produced(&connection.ask(&frames::produce(1, name, 0, -1, &batch)));
        assert!([3, 17].contains(&error), "Produce to {name:?} answers {error}");
    }
    // Bytes that are no UTF-8 cannot be a name: an error or a closed connection, as for any frame that lies.
    let mut other = Connection::open(server.address()).expect("the server accepts");
    other.send(&Frame::request(frames::METADATA, 1, 1).i32(1).i16(2).raw(b"\xff\xfe").finish());
    assert_ne!(other.receive(PATIENCE), Reply::Silence);
    server.assert_alive();
    if server.is_ours() {
        let data = server.data_dir();
        let beside = fs::read_dir(data.parent().expect("the data lie in the test's folder"))
            .expect("the folder can be read");
        let mut beside: Vec<_> = beside.map(|entry| entry.expect("an entry").file_name()).collect();
        beside.sort();
        assert_eq!(beside, ["data", "output"], "only the data directory is written to");
    }
}

#[test]
fn clients_that_are_slow_or_do_not_read() {
    let _alone = whole_machine();
    let mut server = Server::start("slow");
    let witness = Witness::start(server.address(), "witness");
    frames::create_topic(server.address(), "bulk", 1, &[]);
    let mut connection = Connection::open(server.address()).expect("the server accepts");
    let megabyte = vec![7; 900_000];
    for _ in 0..20 {
        let (error, _) = frames::produced(&connection.ask(&frames::produce(
            1,
            "bulk",
            0,
            -1,
            &frames::batch(&[&megabyte]),
        )));
        assert_eq!(error, 0);
    }
    let before = resident(&server);
    // Half a request, and then a byte now and then.
    let mut dribbling: Vec<TcpStream> = (0..500)
        .map(|_| {
            let mut stream = TcpStream::connect(server.address()).expect("the server accepts");
            stream.write_all(&100_i32.to_be_bytes()).expect("four bytes fit");
            stream
        })
        .collect();
    // Requests for 18 MB each, and nobody who reads the answers.
    let deaf: Vec<Connection> = (0..50)
        .map(|_| {
            let mut connection = Connection::open(server.address()).expect("the server accepts");
            for _ in 0..20 {
                connection.send(&frames::fetch(3, "bulk", 0, Duration::ZERO, 50 << 20));
            }
            connection
        })
        .collect();
    for _ in 0..10 {
        for stream in &mut dribbling {
            stream.write_all(&[0]).expect("a slow client is not closed before its time");
        }
        std::thread::sleep(Duration::from_millis(300));
    }
    assert_growth_below(&server, before, 256);
    drop(deaf);
    drop(dribbling);
    undisturbed(&witness.finish());
    server.assert_alive();
}

#[test]
fn ten_thousand_requests_in_one_breath_are_answered_in_order() {
    let _alone = whole_machine();
    let mut server = Server::start("pipelined");
    frames::create_topic(server.address(), "log", 4, &[]);
    let connection = TcpStream::connect(server.address()).expect("the server accepts");
    let mut writer = connection.try_clone().expect("a socket has two sides");
    let sender = std::thread::spawn(move || {
        // Partitions on every shard, and questions that need none of them.
        let batch = frames::batch(&[b"pipelined"]);
        for id in 0..10_000_i32 {
            let request = match id % 5 {
                4 => frames::api_versions(id),
                partition => frames::produce(id, "log", partition, if id % 2 == 0 { 1 } else { -1 }, &batch),
            };
            writer.write_all(&request).expect("the server reads on");
        }
    });
    let mut reader = std::io::BufReader::new(connection);
    reader.get_ref().set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    for id in 0..10_000_i32 {
        let mut size = [0; 4];
        reader.read_exact(&mut size).expect("each request is answered");
        let mut frame = vec![0; usize::try_from(u32::from_be_bytes(size)).expect("32 bits")];
        reader.read_exact(&mut frame).expect("each answer is whole");
        assert_eq!(frame[..4], id.to_be_bytes(), "answers come in the order of the requests");
    }
    sender.join().expect("the sender wrote everything");
    server.assert_alive();
}

#[test]
fn parked_fetches_are_all_woken() {
    const PARKED: usize = 2_000;
    let _alone = whole_machine();
    let mut server = Server::start("parked");
    frames::create_topic(server.address(), "quiet", 1, &[]);
    let before = resident(&server);
    let mut parked: Vec<Connection> = (0..PARKED)
        .map(|_| {
            let mut connection = Connection::open(server.address()).expect("the server accepts");
            assert!(connection.send(&frames::fetch(5, "quiet", 0, Duration::from_secs(60), i32::MAX)));
            connection
        })
        .collect();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(parked[0].receive(Duration::from_millis(10)), Reply::Silence, "a fetch without data waits");
    let begin = Instant::now();
    let mut producer = Connection::open(server.address()).expect("the server accepts");
    let (error, _) =
        frames::produced(&producer.ask(&frames::produce(1, "quiet", 0, -1, &frames::batch(&[b"wake"]))));
    assert_eq!(error, 0);
    for connection in &mut parked {
        let Reply::Frame(frame) = connection.receive(Duration::from_secs(10)) else {
            panic!("a fetch was not woken")
        };
        assert_eq!(frames::batches(&frames::fetched(&frame[4..]).records).len(), 1);
    }
    println!("{PARKED} fetches woken in {:?}", begin.elapsed());
    assert!(begin.elapsed() < Duration::from_secs(5), "woken only after {:?}", begin.elapsed());
    assert_growth_below(&server, before, 256);
    server.assert_alive();
}

#[test]
fn twelve_thousand_idle_connections() {
    /// What the test itself needs besides: the runner, the server's pipes, the witness.
    const SPARE: u64 = 200;
    let _alone = whole_machine();
    let limit = hard_limit_of_files();
    let raised = std::process::Command::new("prlimit")
        .args(["--pid", &std::process::id().to_string(), &format!("--nofile={limit}:{limit}")])
        .status();
    if !raised.is_ok_and(|status| status.success()) {
        support::skip("prlimit cannot raise the limit of open files");
        return;
    }
    let wanted = 12_000;
    if limit < wanted + SPARE {
        support::skip(&format!("only {limit} files may be open"));
        return;
    }
    let mut server = Server::start("idle");
    let witness = Witness::start(server.address(), "witness");
    let before = resident(&server);
    let begin = Instant::now();
    let held: Vec<TcpStream> = (0..wanted)
        .map(|number| {
            TcpStream::connect(server.address())
                .unwrap_or_else(|error| panic!("connection {number}: {error}"))
        })
        .collect();
    println!("{wanted} connections in {:?}", begin.elapsed());
    std::thread::sleep(Duration::from_secs(2));
    assert_growth_below(&server, before, 512);
    // Each is served, not merely accepted by the kernel.
    for stream in held.iter().step_by(97) {
        let mut stream = stream.try_clone().expect("a socket has two sides");
        stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
        stream.write_all(&frames::api_versions(1)).expect("an idle connection takes a request");
        let mut size = [0; 4];
        stream.read_exact(&mut size).expect("an idle connection is served");
    }
    undisturbed(&witness.finish());
    drop(held);
    server.assert_alive();
}

#[test]
fn connections_beyond_the_limit_are_refused_and_the_rest_goes_on() {
    let _alone = whole_machine();
    let options =
        Options { wrapper: ["prlimit", "--nofile=700:700"].map(String::from).to_vec(), ..Options::default() };
    if tools::run(std::process::Command::new("prlimit").arg("--version")).is_err() {
        support::skip("prlimit is not installed");
        return;
    }
    let mut server = Server::start_with("limited", options);
    if !server.is_ours() {
        return;
    }
    let witness = Witness::start(server.address(), "witness");
    let mut held = Vec::new();
    let mut refused = 0;
    for _ in 0..1_500 {
        let mut connection = Connection::open(server.address()).expect("the kernel accepts");
        let served = connection.send(&frames::api_versions(1))
            && matches!(connection.receive(PATIENCE), Reply::Frame(_));
        if served {
            held.push(connection);
        } else {
            refused += 1;
        }
    }
    println!("{} connections held, {refused} refused", held.len());
    assert!(held.len() > 200, "only {} connections under a limit of 700 files", held.len());
    assert!(refused > 500, "the limit was not reached");
    // A server that runs out of descriptors must not spend its time on accepting in vain.
    let observed = Observed::new(server.pid());
    let before = observed.processor_ticks();
    std::thread::sleep(Duration::from_secs(2));
    let ticks = observed.processor_ticks() - before;
    println!("{ticks} ticks of processor time in two seconds at the limit");
    undisturbed(&witness.finish());
    held.clear();
    let end = Instant::now() + Duration::from_secs(5);
    loop {
        let mut connection = Connection::open(server.address()).expect("the kernel accepts");
        if connection.send(&frames::api_versions(1))
            && matches!(connection.receive(PATIENCE), Reply::Frame(_))
        {
            break;
        }
        assert!(Instant::now() < end, "connections are refused long after the others are gone");
    }
    server.assert_alive();
}

#[test]
fn topics_that_come_and_go() {
    let _alone = whole_machine();
    let mut server = Server::start("storm");
    let witness = Witness::start(server.address(), "witness");
    let mut connection = Connection::open(server.address()).expect("the server accepts");
    let descriptors = || if server.is_ours() { Observed::new(server.pid()).descriptors() } else { 0 };
    let before = descriptors();
    for round in 0..10 {
        let names: Vec<String> = (0..20).map(|number| format!("storm-{round}-{number}")).collect();
        connection.ask(&frames::create_topics(&names, 2, &[]));
        let batch = frames::batch(&[b"short lived"]);
        for name in &names {
            // The partition may not have its leader yet; what counts is that nothing breaks.
            frames::produced(&connection.ask(&frames::produce(1, name, 1, 1, &batch)));
        }
        connection.ask(&frames::delete_topics(&names));
    }
    std::thread::sleep(Duration::from_secs(1));
    let after = descriptors();
    assert!(after < before + 100, "{before} descriptors before, {after} after 200 topics have come and gone");
    undisturbed(&witness.finish());
    server.assert_alive();
}

fn from_hex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).expect("a hexadecimal digit");
    text.as_bytes()
        .chunks_exact(2)
        .map(|pair| u8::try_from(digit(pair[0]) << 4 | digit(pair[1])).expect("two digits are a byte"))
        .collect()
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
