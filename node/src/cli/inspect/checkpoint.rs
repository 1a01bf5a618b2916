//! `inspect checkpoint` and `inspect journal`: what our own small files and journals say, and whether they are what was
//! written.

use std::fs;

use ringmain_storage::inspect::{Section, describe};

use crate::cli::arguments::InspectFileArguments;
use crate::cli::failure::Failure;
use crate::cli::output::print;

/// Prints the file's content.
pub(super) fn inspect(arguments: &InspectFileArguments) -> Result<(), Failure> {
    let name = arguments.file.display().to_string();
    let content = fs::read(&arguments.file)
        .map_err(|error| Failure::Io { operation: format!("read {name}"), error })?;
    let described = describe(&name, &content)
        .ok_or_else(|| Failure::Other(format!("{name} is none of a data directory's own files")))?;
    let sections = described.map_err(|damage| Failure::Other(damage.to_string()))?;
    let lines: Vec<String> = sections.iter().map(if arguments.json { as_json } else { as_text }).collect();
    print(&(lines.join("\n") + "\n"))
}

fn as_text(section: &Section) -> String {
    let mut text = section.title.clone();
    for (name, value) in &section.fields {
        text.push_str(&format!("\n  {name:<20} {value}"));
    }
    text
}

fn as_json(section: &Section) -> String {
    let fields = section.fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone().into()));
    let mut object: serde_json::Map<String, serde_json::Value> = fields.collect();
    object.insert("section".to_owned(), section.title.clone().into());
    serde_json::Value::Object(object).to_string()
}
