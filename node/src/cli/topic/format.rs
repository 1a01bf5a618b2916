//! How a consumed record is printed: its value, a format of the user's, or JSON.

use std::io::{self, Write};

use ringmain_protocol::records::Record;
use serde_json::{Map, Value, json};

use crate::base64;

/// How records are printed.
#[derive(Debug)]
pub(super) enum Format {
    /// The value and a newline.
    Lines,
    /// What the user wrote.
    Template(Vec<Part>),
    /// A JSON object and a newline.
    Json,
}

/// A piece of a user's format.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    Text(Vec<u8>),
    Value,
    ValueLength,
    Key,
    KeyLength,
    Offset,
    Partition,
    Topic,
    Timestamp,
    Headers,
}

impl Format {
    /// Parses a user's format.
    pub(super) fn parse(format: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut text = Vec::new();
        let mut characters = format.chars();
        while let Some(character) = characters.next() {
            let part = match character {
                '%' => match characters.next() {
                    Some('s') => Part::Value,
                    Some('S') => Part::ValueLength,
                    Some('k') => Part::Key,
                    Some('K') => Part::KeyLength,
                    Some('o') => Part::Offset,
                    Some('p') => Part::Partition,
                    Some('t') => Part::Topic,
                    Some('T') => Part::Timestamp,
                    Some('h') => Part::Headers,
                    Some('%') => {
                        text.push(b'%');
                        continue;
                    }
                    other => {
                        let other = other.map(String::from).unwrap_or_default();
                        return Err(format!(
                            "--format: %{other} is not understood; there are %s %S %k %K %o %p %t %T %h %%"
                        ));
                    }
                },
                '\\' => {
                    text.push(match characters.next() {
                        Some('n') => b'\n',
                        Some('t') => b'\t',
                        Some('r') => b'\r',
                        Some('0') => 0,
                        Some('\\') => b'\\',
                        other => {
                            let other = other.map(String::from).unwrap_or_default();
                            return Err(format!("--format: \\{other} is not understood"));
                        }
                    });
                    continue;
                }
                plain => {
                    text.extend_from_slice(plain.encode_utf8(&mut [0; 4]).as_bytes());
                    continue;
                }
            };
            if !text.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut text)));
            }
            parts.push(part);
        }
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        Ok(Self::Template(parts))
    }

    /// Prints one record.
    pub(super) fn write(
        &self,
        output: &mut impl Write,
        topic: &str,
        partition: i32,
        record: &Record<'_>,
    ) -> io::Result<()> {
        match self {
            Self::Lines => {
                output.write_all(record.value.unwrap_or_default())?;
                output.write_all(b"\n")
            }
            Self::Json => {
                serde_json::to_writer(&mut *output, &as_json(topic, partition, record))?;
                output.write_all(b"\n")
            }
            Self::Template(parts) => {
                parts.iter().try_for_each(|part| write_part(output, part, topic, partition, record))
            }
        }
    }
}

fn write_part(
    output: &mut impl Write,
    part: &Part,
    topic: &str,
    partition: i32,
    record: &Record<'_>,
) -> io::Result<()> {
    let length = |bytes: Option<&[u8]>| bytes.map_or("-1".to_owned(), |bytes| bytes.len().to_string());
    match part {
        Part::Text(text) => output.write_all(text),
        Part::Value => output.write_all(record.value.unwrap_or_default()),
        Part::ValueLength => output.write_all(length(record.value).as_bytes()),
        Part::Key => output.write_all(record.key.unwrap_or_default()),
        Part::KeyLength => output.write_all(length(record.key).as_bytes()),
        Part::Offset => write!(output, "{}", record.offset),
        Part::Partition => write!(output, "{partition}"),
        Part::Topic => output.write_all(topic.as_bytes()),
        Part::Timestamp => write!(output, "{}", record.timestamp),
        Part::Headers => {
            for (index, header) in record.headers.iter().enumerate() {
                if index > 0 {
                    output.write_all(b",")?;
                }
                output.write_all(header.key)?;
                output.write_all(b"=")?;
                output.write_all(header.value.unwrap_or_default())?;
            }
            Ok(())
        }
    }
}

fn as_json(topic: &str, partition: i32, record: &Record<'_>) -> Value {
    let mut object = Map::new();
    object.insert("topic".to_owned(), json!(topic));
    object.insert("partition".to_owned(), json!(partition));
    object.insert("offset".to_owned(), json!(record.offset));
    object.insert("timestamp".to_owned(), json!(record.timestamp));
    insert_bytes(&mut object, "key", record.key);
    insert_bytes(&mut object, "value", record.value);
    let headers: Vec<Value> = record
        .headers
        .iter()
        .map(|header| {
            let mut entry = Map::new();
            insert_bytes(&mut entry, "key", Some(header.key));
            insert_bytes(&mut entry, "value", header.value);
            Value::Object(entry)
        })
        .collect();
    if !headers.is_empty() {
        object.insert("headers".to_owned(), Value::Array(headers));
    }
    Value::Object(object)
}

/// As text where it is UTF-8, else under another name as base64, so that nothing is lost or guessed.
fn insert_bytes(object: &mut Map<String, Value>, name: &str, bytes: Option<&[u8]>) {
    match bytes.map(|bytes| (bytes, std::str::from_utf8(bytes))) {
        None => object.insert(name.to_owned(), Value::Null),
        Some((_, Ok(text))) => object.insert(name.to_owned(), json!(text)),
        Some((bytes, Err(_))) => object.insert(format!("{name}_base64"), json!(base64::encode(bytes))),
    };
}

#[cfg(test)]
mod tests {
    use ringmain_protocol::records::{RecordBatch, RecordBatchBuilder, RecordHeader};

    use super::*;

    fn printed(format: &Format, key: Option<&[u8]>, value: Option<&[u8]>) -> String {
        let mut builder = RecordBatchBuilder::new();
        let headers = [RecordHeader { key: b"h", value: Some(b"1") }];
        builder.push_with_headers(1234, key, value, &headers);
        let bytes = builder.finish();
        let (batch, _) = RecordBatch::parse(&bytes).expect("a batch");
        let uncompressed = batch.decompress(1 << 20).expect("not compressed");
        let record = batch.records(&uncompressed).next().expect("one").expect("a record");
        let mut output = Vec::new();
        format.write(&mut output, "orders", 3, &record).expect("memory takes it");
        String::from_utf8(output).expect("text")
    }

    #[test]
    fn a_format_is_printed_as_written() {
        let format = Format::parse("%t/%p@%o %T [%k|%K] [%s|%S] %h 100%%\\t\\n").expect("valid");
        assert_eq!(
            printed(&format, Some(b"k"), Some(b"value")),
            "orders/3@0 1234 [k|1] [value|5] h=1 100%\t\n"
        );
        assert_eq!(printed(&format, None, None), "orders/3@0 1234 [|-1] [|-1] h=1 100%\t\n");
        assert!(Format::parse("%x").is_err());
        assert!(Format::parse("50%").is_err());
    }

    #[test]
    fn json_loses_nothing() {
        let line = printed(&Format::Json, None, Some(b"\xff\x00"));
        let value: Value = serde_json::from_str(&line).expect("json");
        assert_eq!(value["key"], Value::Null);
        assert_eq!(value["value_base64"], "/wA=");
        assert_eq!(value["headers"][0]["value"], "1");
        let line = printed(&Format::Json, Some(b"k"), Some("ä\n".as_bytes()));
        let value: Value = serde_json::from_str(&line).expect("json");
        assert_eq!((value["key"].as_str(), value["value"].as_str()), (Some("k"), Some("ä\n")));
    }
}
