//! The findings as people and scripts read them.

use serde_json::{Value, json};

use super::finding::{Finding, Status};

/// Columns before what was found: status, name.
const STATUS_WIDTH: usize = 9;
const NAME_WIDTH: usize = 20;

/// A line for each finding; below those that are not well the reason and what to do. Last, how many there are of each.
pub(super) fn as_text(findings: &[Finding]) -> String {
    let mut text = String::new();
    let indent = " ".repeat(STATUS_WIDTH + NAME_WIDTH);
    for finding in findings {
        let Finding { what, why, status, found, remedy, .. } = finding;
        // Several problems of a configuration are several lines.
        let found = found.replace('\n', &format!("\n{indent}"));
        let (status_name, is_ok) = (status.name(), *status == Status::Ok);
        text.push_str(&format!("{status_name:<STATUS_WIDTH$}{what:<NAME_WIDTH$}{found}\n"));
        if !is_ok {
            text.push_str(&format!("{indent}why:  {why}\n"));
        }
        if let Some(remedy) = remedy {
            text.push_str(&format!("{indent}mend: {remedy}\n"));
        }
    }
    let count = |status| findings.iter().filter(|finding| finding.status == status).count();
    let [ok, advice, problems] = [Status::Ok, Status::Advice, Status::Problem].map(count);
    text.push_str(&format!("\n{problems} problem, {advice} advice, {ok} ok\n"));
    if findings.iter().any(|finding| !finding.settings.is_empty()) {
        text.push_str("'ringmain check --fix' writes the settings of the system among them to files, after showing them.\n");
    }
    text
}

/// An array of findings.
pub(super) fn as_json(findings: &[Finding]) -> Value {
    let items = findings.iter().map(|finding| {
        json!({
            "what": finding.what,
            "status": finding.status.name(),
            "found": finding.found,
            "why": finding.why,
            "remedy": finding.remedy,
        })
    });
    items.collect()
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn what_is_well_takes_one_line() {
        let findings = [
            Finding::new("kernel", "why not", Verdict::ok("6.1")),
            Finding::new("swap", "it waits", Verdict::sysctl(Status::Advice, "60", "vm.swappiness", 1)),
        ];
        assert_eq!(
            as_text(&findings),
            "ok       kernel              6.1\n\
             advice   swap                60\n\
             \x20                            why:  it waits\n\
             \x20                            mend: sysctl -w vm.swappiness=1\n\
             \n0 problem, 1 advice, 1 ok\n\
             'ringmain check --fix' writes the settings of the system among them to files, after showing them.\n"
        );
        let json = as_json(&findings);
        assert_eq!(json[0]["remedy"], Value::Null);
        assert_eq!(json[1]["status"], "advice");
    }
}
