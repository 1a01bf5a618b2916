//! Frames that are found by their heads are those that a look at every block finds.
use alloc::vec;

use super::*;
use crate::codec::checksum;
use crate::disk::simulated::{Random, SimulatedDisk, SimulatedDiskOptions, block_on};
use crate::disk::{Alignment, BufferPoolOptions};
use crate::identity::{LogKey, TopicId};
use crate::journal::frame::{ENTRY_BYTES, Entry};
use crate::offset::Offset;

const BLOCK: usize = 4096;
const FILE_BYTES: usize = 8 << 20;

fn disk() -> SimulatedDisk {
    SimulatedDisk::new(SimulatedDiskOptions {
        seed: 1,
        alignment: Alignment { memory_bytes: 512, position_bytes: 512 },
        one_flush_covers_all: true,
        capacity_bytes: 1 << 30,
        buffers: BufferPoolOptions { budget_bytes: 32 << 20, ..BufferPoolOptions::default() },
        polls_max: 0,
    })
}

fn header(generation: u64, first_sequence: u64) -> FileHeader {
    FileHeader { generation, first_sequence }
}

/// A frame of so many entries with a payload of so many bytes each.
fn frame(generation: u64, sequence: u64, live_from: u64, entries: usize, payload_bytes: usize) -> Vec<u8> {
    let payload = vec![0xA5; payload_bytes];
    let entry = Entry {
        key: LogKey { topic_id: TopicId([1; 16]), partition: 0 },
        payload_checksum: checksum(&payload),
        incarnation: 1,
        base_offset: Offset::ZERO,
        next_offset: Offset::new(1),
        flushed_offset: Offset::ZERO,
        leader_epoch: 0,
        payload_bytes,
    };
    let length = Frame::length_of(entries, entries * payload_bytes, BLOCK);
    let head =
        Frame { generation, sequence, live_from, flushed_sequence: 0, entries: vec![entry; entries], length };
    let pool = crate::disk::BufferPool::new(BufferPoolOptions::default());
    let mut buffer = pool.try_take(length).expect("within the budget");
    buffer.append(&vec![0; FRAME_HEAD_BYTES + entries * ENTRY_BYTES]);
    for _ in 0..entries {
        buffer.append(&payload);
    }
    buffer.pad_to(length);
    head.encode_head(&mut buffer);
    buffer.as_slice().to_vec()
}

/// What a look at every block of a file finds: sequences and positions.
fn look_everywhere(contents: &[u8], generation: u64) -> Vec<(u64, u64)> {
    let (mut found, mut position) = (Vec::new(), BLOCK);
    while position < contents.len() {
        let frame = Frame::decode(&contents[position..], BLOCK);
        match frame.filter(|frame| frame.generation == generation) {
            Some(frame) => {
                found.push((frame.sequence, position as u64));
                position += frame.length;
            }
            None => position += BLOCK,
        }
    }
    found
}

fn put(contents: &mut [u8], position: usize, bytes: &[u8]) -> bool {
    let place = contents.get_mut(position..position + bytes.len());
    place.is_some_and(|place| {
        place.copy_from_slice(bytes);
        true
    })
}

/// A file of frames of all sizes, over those of an older generation, some of them damaged.
fn random_file(random: &mut Random) -> Vec<u8> {
    let mut contents = vec![0; FILE_BYTES];
    for generation in [3, 4] {
        put(&mut contents, 0, &header(generation, 1).to_bytes());
        let (mut position, mut sequence) = (BLOCK, 1);
        while !random.chance(40) {
            let (entries, payload_bytes) = match random.below(4) {
                0 => (1, 100),
                1 => (1 + random.below(40) as usize, 700),
                2 => (1500, 61),
                _ => (1 + random.below(20) as usize, 100_000),
            };
            let bytes = frame(generation, sequence, 1, entries, payload_bytes);
            if !put(&mut contents, position, &bytes) {
                break;
            }
            if random.chance(5) {
                contents[position + random.below(64) as usize] ^= 1;
            }
            position += bytes.len();
            sequence += 1;
        }
    }
    contents
}

#[test]
fn finds_what_a_look_at_every_block_finds() {
    for seed in 0..60 {
        let contents = random_file(&mut Random::new(seed));
        let disk = disk();
        disk.put_durable("journal/0/0.journal", &contents);
        let frames = block_on(find(&disk, "journal/0", BLOCK)).expect("it can be read");
        let found: Vec<(u64, u64)> =
            frames.found.iter().map(|found| (found.frame.sequence, found.position)).collect();
        assert_eq!(found, look_everywhere(&contents, 4), "seed {seed}");
    }
}

#[test]
fn large_frames_are_jumped_over() {
    let mut contents = vec![0; FILE_BYTES];
    put(&mut contents, 0, &header(1, 1).to_bytes());
    let mut position = BLOCK;
    for sequence in 1.. {
        let bytes = frame(1, sequence, 1, 1, 900_000);
        if !put(&mut contents, position, &bytes) {
            break;
        }
        position += bytes.len();
    }
    let disk = disk();
    disk.put_durable("journal/0/0.journal", &contents);
    let frames = block_on(find(&disk, "journal/0", BLOCK)).expect("it can be read");
    assert_eq!(frames.found.len(), 9);
    assert!(frames.bytes_read < 2 << 20, "{} bytes", frames.bytes_read);
}

#[test]
fn files_without_anything_needed_are_passed_over() {
    let needed = |live_from| {
        let headers = [header(9, 300), header(8, 200), header(7, 100)];
        may_be_needed(&headers, live_from).collect::<Vec<usize>>()
    };
    assert_eq!(needed(301), [0]);
    assert_eq!(needed(300), [0], "frame 300 is the first of the newest file");
    assert_eq!(needed(299), [0, 1]);
    assert_eq!(needed(200), [0, 1]);
    assert_eq!(needed(100), [0, 1, 2]);
    assert_eq!(needed(0), [0, 1, 2], "nothing says what is needed");
}

#[test]
fn frames_may_be_applied_up_to_the_first_that_is_missing() {
    let disk = disk();
    let mut contents = vec![0; FILE_BYTES];
    put(&mut contents, 0, &header(1, 5).to_bytes());
    let mut position = BLOCK;
    for sequence in [5, 6, 7, 9] {
        let bytes = frame(1, sequence, 6, 1, 10);
        put(&mut contents, position, &bytes);
        position += bytes.len();
    }
    disk.put_durable("journal/0/0.journal", &contents);
    let frames = block_on(find(&disk, "journal/0", BLOCK)).expect("it can be read");
    let of = |found: &Found| found.frame.sequence;
    assert_eq!(frames.found.iter().map(of).collect::<Vec<_>>(), [6, 7, 9]);
    assert_eq!(frames.may_be_applied().map(of).collect::<Vec<_>>(), [6, 7]);
}
