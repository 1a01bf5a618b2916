//! Offsets that `group describe --json` printed, to go back to or to give to another group.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

use serde_json::Value;

use crate::cli::failure::Failure;
use crate::cli::output::printable;
use crate::client::TopicPartition;

/// The commits of a group in a file; `-` is standard input.
pub(super) fn read(file: &Path, group: &str) -> Result<BTreeMap<TopicPartition, i64>, Failure> {
    let shown = file.display();
    let mut text = String::new();
    let done = if file == Path::new("-") {
        io::stdin().read_to_string(&mut text)
    } else {
        fs::File::open(file).and_then(|mut file| file.read_to_string(&mut text))
    };
    done.map_err(|error| Failure::Io { operation: format!("read {shown}"), error })?;
    parse(&text, group).map_err(|why| {
        Failure::Other(format!("{shown} is not what 'ringmain group describe NAME --json' prints: {why}"))
    })
}

/// The group of that name; of a file with a single group that one, whatever its name.
fn parse(text: &str, group: &str) -> Result<BTreeMap<TopicPartition, i64>, String> {
    let groups: Vec<Value> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let named = groups.iter().find(|described| described["group"] == group);
    let described = match (named, &groups[..]) {
        (Some(described), _) | (None, [described]) => described,
        _ => return Err(format!("the group '{}' is not in it", printable(group))),
    };
    let partitions = described["partitions"].as_array().ok_or("it has no partitions")?;
    let mut offsets = BTreeMap::new();
    for row in partitions {
        let topic = row["topic"].as_str().ok_or("a partition has no topic")?.to_owned();
        let index = row["partition"].as_i64().and_then(|index| i32::try_from(index).ok());
        let index = index.filter(|index| *index >= 0).ok_or("a partition has no number")?;
        let offset = match &row["committed"] {
            Value::Null => continue,
            offset => offset.as_i64().filter(|offset| *offset >= 0).ok_or("a commit is no offset")?,
        };
        offsets.insert(TopicPartition { topic, index }, offset);
    }
    if offsets.is_empty() { Err("nothing is committed there".to_owned()) } else { Ok(offsets) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_are_taken_from_a_description() {
        let one = r#"{"group": "a", "partitions": [{"topic": "t", "partition": 1, "committed": 5, "lag": 0},
                      {"topic": "t", "partition": 2, "committed": null}]}"#;
        let other = r#"{"group": "b", "partitions": [{"topic": "t", "partition": 1, "committed": 6}]}"#;
        let key = TopicPartition { topic: "t".into(), index: 1 };
        let offset = |text: &str, group| parse(text, group).map(|offsets| offsets.get(&key).copied());
        assert_eq!(offset(&format!("[{one}, {other}]"), "b"), Ok(Some(6)));
        assert_eq!(offset(&format!("[{one}]"), "copy"), Ok(Some(5)));
        assert!(offset(&format!("[{one}, {other}]"), "copy").is_err());
        for wrong in ["", "{}", "[]", r#"[{"partitions": []}]"#, r#"[{"partitions": [{"topic": "t"}]}]"#] {
            assert!(offset(wrong, "a").is_err(), "{wrong}");
        }
        assert!(offset(&format!("[{}]", one.replace("5", "-5")), "a").is_err());
    }
}
