//! The `disk` scenario on a small scale: every row runs, and what is not its own stays untouched.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A directory below the build's, removed in the end.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("disk-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("the build's directory is writable");
        Self(path)
    }

    fn own_folder(&self) -> PathBuf {
        self.0.join("ringmain-bench-disk")
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringmain-bench"));
        command.arg("disk").arg("--directory").arg(&self.0).args(arguments);
        command.output().expect("the program starts")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("{} stays: {error}", self.0.display());
        }
    }
}

/// As small as it gets: 16 MiB a file, a few milliseconds a row.
const SMALL: [&str; 6] = ["--seconds", "0.005", "--file-size", "16MiB", "--files", "8"];

#[test]
fn every_row_runs_and_nothing_stays() {
    let directory = Directory::new("rows");
    let rows = ["--sizes", "4KiB,64KiB", "--depths", "1,4", "--json"];
    let output = directory.run(&[&SMALL[..], &rows].concat());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one line of JSON");
    let text = report.to_string();
    for name in [
        "overwrite, 64 KiB x 4, O_DSYNC",
        "growing file, 4 KiB x 1, fdatasync each",
        "allocated range, 4 KiB x 4",
        "zeros ahead, 64 KiB x 1, O_DSYNC",
        "read, direct, 4 KiB x 1",
        "read, cold, 64 KiB x 4",
        "read, cached, 4 KiB x 4",
        "8 files, 4 KiB each: one journal write, one fdatasync",
    ] {
        assert!(text.contains(name), "{name} is missing");
    }
    // 15 ways to write or read in two sizes at two depths, and 4 ways with many files.
    assert_eq!(text.matches("megabytes_per_second").count(), 15 * 2 * 2 + 4);
    assert!(!text.contains("\"requests\":0,"), "a row did nothing: {text}");
    assert_eq!(fs::read_dir(&directory.0).expect("still there").count(), 0, "something stays");
}

#[test]
fn a_table_has_a_line_for_each_row() {
    let directory = Directory::new("table");
    let output = directory.run(&[&SMALL[..], &["--work", "overwrite", "--sizes", "4KiB"]].concat());
    let text = String::from_utf8(output.stdout).expect("text");
    let rows = text.lines().filter(|line| line.starts_with("overwrite, 4 KiB x ")).count();
    assert_eq!(rows, 3 * 3, "{text}");
}

#[test]
fn a_folder_of_somebody_else_is_refused() {
    let directory = Directory::new("foreign");
    fs::create_dir(directory.own_folder()).expect("new");
    let precious = directory.own_folder().join("data-0.txt");
    fs::write(&precious, "precious").expect("new");
    let output = directory.run(&SMALL);
    assert!(!output.status.success());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("this program did not make it"), "{errors}");
    assert_eq!(fs::read(precious).expect("still there"), b"precious");
}

#[test]
fn what_a_killed_run_left_is_taken_over() {
    let directory = Directory::new("killed");
    fs::create_dir(directory.own_folder()).expect("new");
    for name in ["made-by-ringmain-bench", "data-0", "data-17"] {
        fs::write(directory.own_folder().join(name), "").expect("new");
    }
    let output = directory.run(&[&SMALL[..], &["--work", "growing", "--sizes", "4KiB"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!directory.own_folder().exists());
}

#[test]
fn a_disk_without_room_is_refused() {
    let directory = Directory::new("room");
    let output = directory.run(&["--file-size", "1048576GiB"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && errors.contains("MiB free"), "{errors}");
    assert_eq!(fs::read_dir(&directory.0).expect("still there").count(), 0, "something was written");
}
