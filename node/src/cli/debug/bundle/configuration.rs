//! The configuration, without what is secret.

use super::Context;
use crate::config::NodeConfig;

/// Words in the name of an option whose value nobody else may know.
const SECRET_WORDS: [&str; 6] = ["password", "passphrase", "secret", "token", "credential", "private"];

/// Each option with its value and where that comes from.
pub(super) fn options(context: &Context) -> Result<String, String> {
    let config = context.config()?;
    Ok(as_text(config))
}

fn as_text(config: &NodeConfig) -> String {
    let mut text = String::new();
    for (key, value, origin) in config.settings.all() {
        let value = if is_secret(key) && !value.is_empty() { "(masked)" } else { value };
        text.push_str(&format!("{key} = {value}    # {origin}\n"));
    }
    for (name, value) in config.topic_defaults.iter() {
        text.push_str(&format!("topic_defaults.{name} = {value}\n"));
    }
    text
}

fn is_secret(key: &str) -> bool {
    SECRET_WORDS.iter().any(|word| key.contains(word))
}

/// The unit as systemd would read it, where there is one.
pub(super) fn unit(context: &Context) -> Result<String, String> {
    const FOLDERS: [&str; 3] = ["etc/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"];
    let mut text = String::new();
    for folder in FOLDERS {
        let unit = format!("{folder}/ringmain.service");
        let mut files = vec![unit.clone()];
        let dropped =
            std::fs::read_dir(context.system.path(&format!("{unit}.d"))).into_iter().flatten().flatten();
        files.extend(dropped.map(|entry| format!("{unit}.d/{}", entry.file_name().to_string_lossy())));
        for file in files {
            if let Some(content) = context.system.text(&file) {
                text.push_str(&format!("# /{file}\n{}\n\n", without_environment(&content)));
            }
        }
    }
    if text.is_empty() { Err("no unit ringmain.service is installed".to_owned()) } else { Ok(text) }
}

/// Variables of the environment may be secret, whatever they are called.
fn without_environment(unit: &str) -> String {
    let lines = unit.lines().map(|line| match line.split_once('=') {
        Some(("Environment", _)) => "Environment=(masked)",
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_by_their_names() {
        assert!(is_secret("admin.token") && is_secret("tls.key_password"));
        assert!(!is_secret("cluster.key"), "a path");
        assert_eq!(
            without_environment("[Service]\nEnvironment=A=b\nType=notify"),
            "[Service]\nEnvironment=(masked)\nType=notify"
        );
    }

    #[test]
    fn every_option_is_told_with_its_origin() {
        let text = as_text(&NodeConfig::default());
        assert!(text.contains("network.listen = 127.0.0.1:9092    # default\n"), "{text}");
        assert_eq!(text.lines().count(), crate::config::options::OPTIONS.len());
    }
}
