//! The same frames over one TCP connection, with blocking calls: nothing on the machine is cheaper.

use std::io::{self, IoSlice, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

use super::settings::TransportSettings;
use super::{ANSWER, COUNT, Kind, Measured, Stopwatch, frame, latency_histogram, nanoseconds};
use crate::measure::Work;
use crate::system;

/// Measures one row.
pub(super) fn measure(kind: Kind, settings: &TransportSettings) -> io::Result<Measured> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let core = settings.cores[1];
    let dialled = thread::spawn(move || {
        system::pin_thread(core)?;
        serve(&listener.accept()?.0)
    });
    let (settings, core) = (settings.clone(), settings.cores[0]);
    let dialling = thread::spawn(move || {
        system::pin_thread(core)?;
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        if kind == Kind::Bulk { bulk(&stream, &settings) } else { echo(&stream, &settings) }
    });
    let (measured, sent) = joined(dialling)?;
    let arrived = joined(dialled)?;
    if arrived != sent {
        return Err(io::Error::other(format!("{sent} bytes were sent, {arrived} arrived")));
    }
    Ok(measured)
}

fn joined<T>(thread: thread::JoinHandle<io::Result<T>>) -> io::Result<T> {
    thread.join().map_err(|_| io::Error::other("an end of the transport failed"))?
}

/// Takes frames until there are no more; returns the bytes of all.
fn serve(mut stream: &TcpStream) -> io::Result<u64> {
    stream.set_nodelay(true)?;
    let (mut header, mut body, mut arrived) = ([0; 4], Vec::new(), 0);
    loop {
        match stream.read_exact(&mut header) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(arrived),
            Err(error) => return Err(error),
        }
        body.resize(u32::from_be_bytes(header) as usize, 0);
        stream.read_exact(&mut body)?;
        arrived += body.len() as u64;
        if body.first() == Some(&ANSWER) {
            send(stream, &body)?;
        }
    }
}

fn send(mut stream: &TcpStream, frame: &[u8]) -> io::Result<()> {
    let header = (frame.len() as u32).to_be_bytes();
    let mut slices = [IoSlice::new(&header), IoSlice::new(frame)];
    let mut slices = slices.as_mut_slice();
    while !slices.is_empty() {
        let sent = stream.write_vectored(slices)?;
        IoSlice::advance_slices(&mut slices, sent);
    }
    Ok(())
}

fn bulk(stream: &TcpStream, settings: &TransportSettings) -> io::Result<(Measured, u64)> {
    let frame = frame(settings.frame_bytes(), COUNT);
    let (mut stopwatch, mut work, mut sent) = (Stopwatch::begin(settings.row_duration()), Work::default(), 0);
    while let Some(counts) = stopwatch.counts(Instant::now())? {
        send(stream, &frame)?;
        sent += frame.len() as u64;
        if counts {
            work.add(Work { requests: 1, records: 1, bytes: frame.len() as u64 });
        }
    }
    Ok((stopwatch.finish(work, latency_histogram())?, sent))
}

fn echo(mut stream: &TcpStream, settings: &TransportSettings) -> io::Result<(Measured, u64)> {
    let frame = frame(settings.question_bytes as usize, ANSWER);
    let mut answer = vec![0; frame.len() + 4];
    let (mut stopwatch, mut work, mut sent) = (Stopwatch::begin(settings.row_duration()), Work::default(), 0);
    let mut latencies = latency_histogram();
    loop {
        let asked = Instant::now();
        let Some(counts) = stopwatch.counts(asked)? else { break };
        send(stream, &frame)?;
        stream.read_exact(&mut answer)?;
        sent += frame.len() as u64;
        if counts {
            latencies.saturating_record(nanoseconds(asked.elapsed()));
            work.add(Work { requests: 1, records: 1, bytes: frame.len() as u64 });
        }
    }
    Ok((stopwatch.finish(work, latencies)?, sent))
}
