//! Records that are not ours: whatever the log holds, loading it neither fails nor lies.

use super::simulation::log_of;
use crate::{Coordinator, LoadError, Loaded, Settings};

fn load(records: impl IntoIterator<Item = (Vec<u8>, Option<Vec<u8>>)>) -> Coordinator {
    let mut coordinator = Coordinator::new(Settings::default());
    for (key, value) in records {
        // An error leaves the record out; the next ones are read.
        let _: Result<Loaded, LoadError> = coordinator.load(&key, value.as_deref());
        coordinator.assert_consistent();
    }
    let mut effects = Vec::new();
    coordinator.loaded(1_000_000, &mut effects);
    coordinator.step(2_000_000_000, crate::Event::TimePassed, &mut effects);
    coordinator.assert_consistent();
    coordinator
}

#[test]
fn records_of_newer_groups_are_left_out() {
    let mut coordinator = Coordinator::new(Settings::default());
    for kind in [3_i16, 8, 16, i16::MAX] {
        let key = [&kind.to_be_bytes()[..], &[0, 1, b'g']].concat();
        assert_eq!(coordinator.load(&key, Some(b"anything")), Ok(Loaded::Ignored));
    }
    assert_eq!(coordinator.load(b"", None), Err(LoadError::Key));
    assert_eq!(coordinator.load(b"\0\x01\0", None), Err(LoadError::Key));
    assert_eq!(coordinator.load(b"\0\x02\0\x01g", Some(b"\0\x09")), Err(LoadError::Value));
    assert_eq!(coordinator.load(b"\0\x02\0\x01g", None), Ok(Loaded::Applied));
    assert_eq!(coordinator.groups().count(), 0);
}

#[test]
fn changed_and_cut_records_do_no_harm() {
    let log = (0..).map(log_of).find(|log| log.len() > 20).expect("some run leaves more than a few records");
    let plain =
        |record: &crate::Record| (record.key.to_vec(), record.value.as_ref().map(|value| value.to_vec()));
    let records: Vec<_> = log.iter().map(plain).collect();
    load(records.clone());
    for (index, (key, value)) in records.iter().enumerate().take(60) {
        for at in 0..key.len() {
            let mut changed = records[..=index].to_vec();
            changed[index].0[at] ^= 0x41;
            load(changed);
        }
        let Some(value) = value else { continue };
        for at in 0..value.len() {
            let mut changed = records[..=index].to_vec();
            changed[index].1 = Some(value[..at].to_vec());
            load(changed.clone());
            let mut flipped = value.clone();
            flipped[at] ^= 0x81;
            changed[index].1 = Some(flipped);
            load(changed);
        }
    }
}
