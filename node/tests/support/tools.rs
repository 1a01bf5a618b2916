//! Clients by version: Java from Maven, librdkafka in its Python wheel, kcat from the system.
//!
//! Everything is kept under `target/test-tools`, so that only the first run needs a network. A tool that cannot be had is
//! an `Err` with the reason, for `or_skip!`.

use super::languages;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

/// librdkafka as most installations have it today.
pub(crate) const LIBRDKAFKA: &str = "2.16.1";
/// The last line of releases that turns features on by single versions of APIs (compression by Produce 0).
pub(crate) const LIBRDKAFKA_OLD: &str = "2.5.3";
/// Java clients: the last of the 3 series, and the newest; both also exist as brokers for the recorded answers.
pub(crate) const JAVA_CLIENTS: [&str; 2] = ["3.9.1", "4.2.0"];

/// A small heap: several programs share the machine with the server.
pub(crate) const JAVA_OPTIONS: [&str; 3] = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];

/// The folder of the tests' sources.
pub(crate) fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// Where fetched tools stay between runs.
pub(crate) fn cache() -> PathBuf {
    let target =
        Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the temporary folder lies in target");
    target.join("test-tools")
}

/// Runs a program to its end; its output on success, a sentence with the end of what it said on failure.
pub(crate) fn run(command: &mut Command) -> Result<String, String> {
    run_for_bytes(command).map(|output| String::from_utf8_lossy(&output).into_owned())
}

/// The same for a program whose output is data.
pub(crate) fn run_for_bytes(command: &mut Command) -> Result<Vec<u8>, String> {
    let shown = format!("{command:?}");
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("cannot run {shown}: {error}"))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said[said.len().saturating_sub(4_000)..]).into_owned();
    Err(format!("{shown} failed with {}: {said}", output.status))
}

/// Prepares a folder once: in a folder of its own, renamed when it is complete, under a lock against other processes.
pub(crate) fn prepare(name: &str, make: impl FnOnce(&Path) -> Result<(), String>) -> Result<PathBuf, String> {
    static WITHIN_THIS_PROCESS: Mutex<()> = Mutex::new(());
    let _guard = WITHIN_THIS_PROCESS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let cache = cache();
    let said = |error: std::io::Error| format!("cannot prepare {name} in {}: {error}", cache.display());
    fs::create_dir_all(&cache).map_err(said)?;
    let lock = File::create(cache.join("lock")).map_err(said)?;
    lock.lock().map_err(said)?;
    let ready = cache.join(name);
    if !ready.join(".complete").exists() {
        if ready.exists() {
            fs::remove_dir_all(&ready).map_err(said)?;
        }
        fs::create_dir_all(&ready).map_err(said)?;
        make(&ready)?;
        File::create(ready.join(".complete")).map_err(said)?;
    }
    Ok(ready)
}

/// The class path of what a `java/NAME.xml` lists, fetched by Maven.
pub(crate) fn java_jars(name: &str) -> Result<String, String> {
    let jars = prepare(&format!("java-{name}"), |folder| {
        run(Command::new("mvn")
            .args(["-q", "-B", "-f"])
            .arg(sources().join(format!("java/{name}.xml")))
            .args(["dependency:copy-dependencies", "-DincludeScope=runtime"])
            .arg(format!("-DoutputDirectory={}", folder.display())))
        .map(drop)
    })?;
    Ok(format!("{}/*", jars.display()))
}

/// Compiles a folder of Java sources against a client; the class path to run them with.
pub(crate) fn java_program(folder: &str, client_version: &str) -> Result<String, String> {
    java_program_with(folder, &format!("clients-{client_version}"))
}

/// The same against the jars of any `java/JARS.xml`.
pub(crate) fn java_program_with(folder: &str, jars_name: &str) -> Result<String, String> {
    let jars = java_jars(jars_name)?;
    let mut files: Vec<PathBuf> = fs::read_dir(sources().join("java").join(folder))
        .map_err(|error| format!("cannot list the sources of {folder}: {error}"))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "java"))
        .collect();
    files.sort();
    let mut sources = String::new();
    for file in &files {
        sources +=
            &fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    }
    // The name changes with the sources, so that an edit is never run as it was before.
    let classes = prepare(&format!("classes-{folder}-{jars_name}-{:08x}", checksum(&sources)), |classes| {
        run(Command::new("javac").arg("-nowarn").arg("-d").arg(classes).arg("-cp").arg(&jars).args(&files))
            .map(drop)
    })?;
    Ok(format!("{}:{jars}", classes.display()))
}

/// FNV-1a: enough to tell an edited source from the old one.
pub(crate) fn checksum(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// A `java` command.
pub(crate) fn java(class_path: &str) -> Command {
    let mut command = Command::new("java");
    command.args(JAVA_OPTIONS).args(["-cp", class_path]);
    command
}

/// The Python of a virtual environment with that release of librdkafka's wheel.
pub(crate) fn librdkafka(version: &str) -> Result<PathBuf, String> {
    let packages = [format!("confluent-kafka=={version}")];
    languages::python_with(&format!("confluent-kafka-{version}"), &packages)
}

/// kcat, if it is installed.
pub(crate) fn kcat() -> Result<&'static str, String> {
    kcat_version().map(|_| "kcat")
}

/// The release of the kcat that is installed.
pub(crate) fn kcat_version() -> Result<String, String> {
    let said = run(Command::new("kcat").arg("-V"))?;
    let version = said.split_once("Version ").and_then(|(_, rest)| rest.split_whitespace().next());
    Ok(version.ok_or_else(|| format!("kcat says {said:?}"))?.to_owned())
}
