//! A topic's files, taken out of the page cache, so that a broker must read its disk for them.
//!
//! Kafka and those that follow it keep a partition in a folder `TOPIC-PARTITION` of the data
//! directory. What a broker keeps in buffers of its own is not touched.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use crate::driver::wire::client::other;
use crate::system;
use crate::target::Target;

/// The folders of one topic's partitions.
#[derive(Debug)]
pub(crate) struct ColdFiles {
    folders: Vec<PathBuf>,
    /// Under way beside a measurement.
    evicting: Option<JoinHandle<io::Result<()>>>,
}

impl ColdFiles {
    /// Finds the topic's folders.
    pub(crate) fn of_topic(target: &Target, topic: &str) -> io::Result<Self> {
        let directory = target.data_dir.as_ref().ok_or_else(|| {
            other(format!("{}: cold reads need the broker's data directory (data-dir)", target.name))
        })?;
        let mut folders = Vec::new();
        for entry in fs::read_dir(directory).map_err(|error| named(directory, &error))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let partition = name.strip_prefix(topic).and_then(|rest| rest.strip_prefix('-'));
            if partition.is_some_and(|partition| partition.parse::<u32>().is_ok()) {
                folders.push(entry.path());
            }
        }
        if folders.is_empty() {
            let directory = directory.display();
            return Err(other(format!("{directory} has no folder of a partition of {topic}")));
        }
        Ok(Self { folders, evicting: None })
    }

    /// Writes the files to the device, so that they can be evicted, and evicts them.
    pub(crate) fn evict_now(&mut self) -> io::Result<()> {
        self.folders.iter().try_for_each(|folder| {
            for_each_file(folder, &|file| {
                file.sync_data()?;
                system::evict_from_page_cache(file)
            })
        })
    }

    /// Evicts on a thread of its own; says whether that is over, otherwise ask again.
    pub(crate) fn evict_beside(&mut self) -> io::Result<bool> {
        let Some(evicting) = self.evicting.take() else {
            let folders = self.folders.clone();
            let evict = move || {
                let evict = |folder: &PathBuf| for_each_file(folder, &system::evict_from_page_cache);
                folders.iter().try_for_each(evict)
            };
            self.evicting = Some(std::thread::Builder::new().name("evict".into()).spawn(evict)?);
            return Ok(false);
        };
        if !evicting.is_finished() {
            self.evicting = Some(evicting);
            return Ok(false);
        }
        evicting.join().map_err(|_| other("the thread that evicts files panicked".into()))??;
        Ok(true)
    }
}

fn for_each_file(folder: &Path, visit: &impl Fn(&File) -> io::Result<()>) -> io::Result<()> {
    for entry in fs::read_dir(folder).map_err(|error| named(folder, &error))? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            for_each_file(&entry.path(), visit)?;
        } else if kind.is_file() {
            let path = entry.path();
            match File::open(&path).and_then(|file| visit(&file)) {
                // The broker may delete a file at any time.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                result => result.map_err(|error| named(&path, &error))?,
            }
        }
    }
    Ok(())
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(data_dir: Option<PathBuf>) -> Target {
        let address = "127.0.0.1:1".parse().expect("an address");
        Target {
            name: "broker".into(),
            address,
            processes: Default::default(),
            data_dir,
            configs: Vec::new(),
        }
    }

    #[test]
    fn only_the_topics_own_folders_are_evicted() {
        let directory = std::env::temp_dir().join(format!("cold-files-{}", std::process::id()));
        for folder in ["orders-0", "orders-12", "orders-late-0", "orders-x", "journal"] {
            fs::create_dir_all(directory.join(folder)).expect("made");
            fs::write(directory.join(folder).join("0.log"), b"records").expect("written");
        }
        let found = ColdFiles::of_topic(&target(Some(directory.clone())), "orders").map(|mut files| {
            files.evict_now().expect("evicts");
            while !files.evict_beside().expect("evicts") {}
            files.folders.sort();
            files.folders
        });
        let absent = ColdFiles::of_topic(&target(Some(directory.clone())), "absent");
        fs::remove_dir_all(&directory).expect("removed");
        assert_eq!(found.expect("found"), [directory.join("orders-0"), directory.join("orders-12")]);
        assert!(absent.expect_err("it has no folders").to_string().contains("absent"));
        let unknown = ColdFiles::of_topic(&target(None), "orders").expect_err("no directory");
        assert!(unknown.to_string().contains("data-dir"));
    }
}
