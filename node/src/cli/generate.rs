//! `generate`: the manual pages and the completions of shells that go into a package, written from the arguments as they
//! are declared and from the tables of options.
//!
//! Does not do: where a system wants them; that is said by the package.

mod roff;

use std::fs;
use std::path::Path;

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use self::roff::{escaped, preformatted};
use super::arguments::{Arguments, GenerateArguments};
use super::failure::Failure;
use crate::config::options::OPTIONS;
use crate::config::topic_definitions::TOPIC_CONFIGS;

const NAME: &str = "ringmain";

/// Writes everything below the folder that the arguments name.
pub(super) fn run(arguments: &GenerateArguments) -> Result<(), Failure> {
    let mut command = Arguments::command().disable_help_subcommand(true);
    command.build();
    let pages = arguments.directory.join("man");
    manual_pages(&command, &pages)?;
    write(&pages.join("ringmain.toml.5"), configuration_page().as_bytes())?;
    let completions = arguments.directory.join("completions");
    for (shell, file) in
        [(Shell::Bash, "ringmain"), (Shell::Zsh, "_ringmain"), (Shell::Fish, "ringmain.fish")]
    {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut command, NAME, &mut text);
        write(&completions.join(file), &text)?;
    }
    Ok(())
}

fn write(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let failed = |error| Failure::Io { operation: format!("write {}", path.display()), error };
    fs::create_dir_all(path.parent().expect("it is a file below a folder")).map_err(failed)?;
    fs::write(path, content).map_err(failed)
}

/// A page for a command and for each below it.
fn manual_pages(command: &Command, folder: &Path) -> Result<(), Failure> {
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        manual_pages(below, folder)?;
    }
    let name = command.get_display_name().unwrap_or(NAME);
    let page = manual_page(command)
        .map_err(|error| Failure::Io { operation: format!("write the manual page of {name}"), error })?;
    write(&folder.join(format!("{name}.1")), &page)
}

fn manual_page(command: &Command) -> std::io::Result<Vec<u8>> {
    let man = Man::new(command.clone())
        .manual("Ringmain")
        .source(format!("ringmain {}", env!("CARGO_PKG_VERSION")));
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    if command.get_arguments().any(|argument| !argument.is_hide_set()) {
        man.render_options_section(&mut page)?;
    }
    if command.get_subcommands().any(|below| !below.is_hide_set()) {
        man.render_subcommands_section(&mut page)?;
    }
    if let Some(after) = command.get_after_help() {
        page.extend(examples(&after.to_string()).into_bytes());
    }
    page.extend(b".SH SEE ALSO\n.BR ringmain (1),\n.BR ringmain.toml (5)\n");
    Ok(page)
}

/// What stands below the help of a command: mostly examples, whose lines are to stay as they are.
fn examples(text: &str) -> String {
    let (heading, body) = text.split_once("Examples:\n").unwrap_or(("", text));
    let mut page = String::new();
    if !heading.trim().is_empty() {
        page.push_str(&format!(".SH NOTES\n{}", preformatted(heading.trim_end())));
    }
    page.push_str(&format!(".SH EXAMPLES\n{}", preformatted(body.trim_end())));
    page
}

/// `ringmain.toml(5)`.
fn configuration_page() -> String {
    let mut page = format!(
        ".TH ringmain.toml 5 \"\" \"ringmain {}\" Ringmain\n\
         .SH NAME\nringmain.toml \\- configuration of a Ringmain node\n\
         .SH SYNOPSIS\n/etc/ringmain/ringmain.toml\n\
         .SH DESCRIPTION\n{}\n",
        env!("CARGO_PKG_VERSION"),
        escaped(
            "TOML. An option may stand under its full name or in the table of its prefix: limits.connection_idle_ms, or \
             connection_idle_ms under [limits]. Sizes take KiB, MiB, GiB; times ms, s, m, h, d; a bare number is bytes or \
             milliseconds. Each option can be given in the environment as well (RINGMAIN_LIMITS_CONNECTION_IDLE_MS), which \
             wins over the file, and as --set KEY=VALUE, which wins over both. An unknown key is an error. SIGHUP \
             (systemctl reload ringmain) applies log_level; all others take effect with the next start."
        )
    );
    page.push_str(".SH OPTIONS\n");
    for option in &OPTIONS {
        let default = if option.default.is_empty() { "(none)" } else { option.default };
        page.push_str(&format!(
            ".TP\n.B {}\n{}\n.br\nValue: {}. Default: {}. Cost: {}\n",
            escaped(option.key),
            escaped(option.documentation),
            escaped(&option.unit()),
            escaped(default),
            escaped(option.cost),
        ));
    }
    page.push_str(".SH TOPIC DEFAULTS\n");
    page.push_str(&escaped(
        "In the table [topic_defaults], by Kafka's names and in its units: what holds for topics without a value of their own.",
    ));
    page.push('\n');
    for definition in &TOPIC_CONFIGS {
        let default = definition.default.filter(|default| !default.is_empty()).unwrap_or("(none)");
        page.push_str(&format!(
            ".TP\n.B {}\n{}\n.br\nDefault: {}.\n",
            escaped(definition.name),
            escaped(definition.documentation),
            escaped(default),
        ));
    }
    page.push_str(".SH FILES\n.TP\n.I /etc/ringmain/ringmain.toml\nthe configuration of the service\n");
    page.push_str(
        ".TP\n.I /var/lib/ringmain\nits data\n.SH SEE ALSO\n.BR ringmain (1),\n.BR ringmain\\-start (1)\n",
    );
    page
}
