//! Values that tell who wrote them: producer, number and partition, then bytes that follow from these.

use crate::history::Record;

/// A reader that finds something else reports it as of this producer, which nobody is.
const NOBODY: u32 = u32::MAX;

/// The value of a record, of about that length.
pub(crate) fn value(record: Record, partition: i32, length: usize) -> Vec<u8> {
    let mut bytes = format!("{}.{}@{partition}:", record.producer, record.number).into_bytes();
    while bytes.len() < length {
        bytes.push(filler(record, bytes.len()));
    }
    bytes
}

/// Whose value it is; a record of nobody if any byte of it is wrong.
pub(crate) fn record_of(value: Option<&[u8]>, partition: i32) -> Record {
    let value = value.unwrap_or_default();
    parse(value, partition).unwrap_or_else(|| {
        let number = value
            .iter()
            .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
        Record { producer: NOBODY, number }
    })
}

fn parse(bytes: &[u8], partition: i32) -> Option<Record> {
    let colon = bytes.iter().position(|byte| *byte == b':')?;
    let head = std::str::from_utf8(&bytes[..colon]).ok()?;
    let (name, place) = head.split_once('@')?;
    let (producer, number) = name.split_once('.')?;
    let record = Record { producer: producer.parse().ok()?, number: number.parse().ok()? };
    let whole = value(record, partition, bytes.len());
    (place.parse() == Ok(partition) && whole == bytes).then_some(record)
}

fn filler(record: Record, position: usize) -> u8 {
    let position = u32::try_from(position).expect("values are short");
    let mixed = record.number.wrapping_mul(31) ^ record.producer.wrapping_mul(17) ^ position.wrapping_mul(7);
    b'a' + u8::try_from(mixed % 26).expect("below 26")
}
