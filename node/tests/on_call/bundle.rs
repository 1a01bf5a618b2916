//! `ringmain debug bundle`: everything that helps, nothing that is private, with and without a node.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use flate2::read::GzDecoder;
use tar::Archive;

use super::support::frames::{self, Connection};
use super::support::server::Server;
use super::{Scratch, ringmain, text};

/// What nobody may find in a bundle.
const RECORD: &[u8] = b"the-content-of-a-record";

/// The texts of a bundle, by their names without the folder.
fn contents(path: &Path) -> BTreeMap<String, String> {
    let mut archive = Archive::new(GzDecoder::new(File::open(path).expect("the bundle is there")));
    let entries = archive.entries().expect("an archive");
    let texts = entries.map(|entry| {
        let mut entry = entry.expect("an entry");
        let path = entry.path().expect("a path").into_owned();
        let name = path.components().skip(1).collect::<std::path::PathBuf>().display().to_string();
        let mut content = String::new();
        entry.read_to_string(&mut content).expect("texts only");
        (name, content)
    });
    texts.collect()
}

#[test]
fn a_bundle_has_what_helps_and_nothing_private_with_and_without_a_node() {
    let mut server = Server::start("bundle");
    if !server.is_ours() {
        return;
    }
    frames::create_topic(server.address(), "orders", 1, &[]);
    let mut connection = Connection::open(server.address()).expect("the server accepts");
    let answer = connection.ask(&frames::produce(1, "orders", 0, -1, &frames::batch(&[RECORD])));
    assert_eq!(frames::produced(&answer), (0, 0));
    let scratch = Scratch::new("bundle");
    let file = scratch.path("ringmain.toml");
    let content = format!(
        "data_dir = {:?}\nshards = 2\nlog_level = 'info,ringmain::shard=debug'\n[network]\nlisten = \"{}\"\nadmin = \"{}\"\n",
        server.data_dir(),
        server.address(),
        server.admin_address()
    );
    fs::write(&file, content).expect("a file can be written");
    let bundle = |name: &str| {
        let out = scratch.path(name);
        let [config, path] = [&file, &out].map(|path| path.to_str().expect("UTF-8"));
        let output = ringmain(&["debug", "bundle", "--config", config, "--out", path]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let mode = fs::metadata(&out).expect("the bundle is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "readable by its owner alone");
        (contents(&out), text(&output.stdout))
    };

    let (running, said) = bundle("running.tar.gz");
    assert!(said.contains("No record and no key"), "{said}");
    let has = |name: &str, part: &str| {
        let content = running.get(name).unwrap_or_else(|| panic!("{name} is missing: {said}"));
        assert!(content.contains(part), "{name} has no {part:?}:\n{content:.2000}");
    };
    let origin = format!("log_level = info,ringmain::shard=debug    # {}:3", file.display());
    has("configuration.txt", &origin);
    has("configuration.txt", "storage.journal_files = 8    # default");
    has("check.json", "\"what\": \"io_uring\"");
    has("system.txt", "MemTotal");
    has("process.txt", &format!("process {}", server.pid()));
    has("process.txt", "shard-0");
    has("metrics.txt", "ringmain_build_info");
    has("health.txt", "/healthz: 200");
    has("cluster.json", "\"health\": \"healthy\"");
    has("data/files.txt", "orders-0/partition.id");
    has("data/files.txt", ".journal");
    has("data/checkpoints.txt", "topic id");
    has("data/format.txt", "node");
    has("sysctl.txt", "net.core.rmem_max");
    has("about.txt", env!("CARGO_PKG_VERSION"));
    for (name, content) in &running {
        assert!(!content.as_bytes().windows(RECORD.len()).any(|part| part == RECORD), "{name} has a record");
    }

    server.kill();
    let (stopped, said) = bundle("stopped.tar.gz");
    assert!(said.contains("metrics.txt") && said.contains("Could not be had"), "{said}");
    assert!(stopped["about.txt"].contains("missing: "), "{}", stopped["about.txt"]);
    for name in ["configuration.txt", "check.json", "system.txt", "data/files.txt", "data/checkpoints.txt"] {
        assert!(stopped.contains_key(name), "{name} needs no node");
    }
    assert!(!stopped.contains_key("metrics.txt") && !stopped.contains_key("cluster.json"));
    // A bundle is never written over another one.
    let path = scratch.path("stopped.tar.gz").display().to_string();
    let again = ringmain(&["debug", "bundle", "--config", file.to_str().expect("UTF-8"), "--out", &path]);
    assert_eq!(again.status.code(), Some(1));
}
