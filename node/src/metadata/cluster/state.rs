//! What the quorum agrees about: the image, made of the committed records, published to every shard.
//!
//! A snapshot is the image's version (u64) and the records that give the image, each as its length (u32) and its bytes;
//! integers are big-endian. What must hold: the same records give the same image on every node; bytes that make no sense
//! stop the node rather than making it another one than the rest.

use std::fmt::Display;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes};
use ringmain_quorum::{CommittedRecords, StateMachine, StateMachineError};

use crate::metadata::events::MetadataEvents;
use crate::metadata::watch::{ImagePublisher, ImageWatch};
use crate::metadata::{MetadataImage, MetadataRecord};

/// The image, and who is told of a newer one.
pub(super) struct ImageState {
    image: Arc<MetadataImage>,
    publisher: ImagePublisher,
    events: MetadataEvents,
}

impl ImageState {
    /// The image before any record, and a watch of those to come.
    pub(super) fn new(events: MetadataEvents) -> (Self, ImageWatch) {
        let image = Arc::new(MetadataImage::default());
        let publisher = ImagePublisher::new(Arc::clone(&image));
        let watch = publisher.watch();
        (Self { image, publisher, events }, watch)
    }

    fn publish(&mut self, image: MetadataImage) {
        self.image = Arc::new(image);
        self.publisher.publish(Arc::clone(&self.image));
    }
}

impl StateMachine for ImageState {
    fn apply(&mut self, committed: CommittedRecords<'_>) -> Result<(), StateMachineError> {
        let index = committed.index;
        let refused = |problem: &dyn Display| StateMachineError {
            operation: "apply committed metadata",
            problem: format!("entry {index} of the log: {problem}"),
        };
        let records = committed.records.iter().map(|bytes| MetadataRecord::decode(bytes));
        let records: Vec<_> = records.collect::<Result<_, _>>().map_err(|error| refused(&error))?;
        if !records.is_empty() {
            let image = self.image.after(&records).map_err(|error| refused(&error))?;
            self.events.note(&self.image, &records);
            self.publish(image);
        }
        Ok(())
    }

    fn snapshot(&self) -> Bytes {
        let mut bytes = Vec::new();
        bytes.put_u64(self.image.version());
        // Of an image without a cluster there is nothing to say.
        let records = if self.image.version() == 0 { Vec::new() } else { self.image.to_records() };
        for record in records {
            let record = record.encode();
            bytes.put_u32(u32::try_from(record.len()).expect("a record fits a proposal"));
            bytes.put_slice(&record);
        }
        bytes.into()
    }

    fn restore(&mut self, index: u64, mut snapshot: Bytes) -> Result<(), StateMachineError> {
        let refused = |problem: &dyn Display| StateMachineError {
            operation: "take a snapshot of the metadata",
            problem: format!("that of entry {index}: {problem}"),
        };
        let cut_off = |_| refused(&"it is cut off");
        let version = snapshot.try_get_u64().map_err(cut_off)?;
        let mut records = Vec::new();
        while snapshot.has_remaining() {
            let length = snapshot.try_get_u32().map_err(cut_off)? as usize;
            if length > snapshot.remaining() {
                return Err(refused(&"it is cut off"));
            }
            let record = MetadataRecord::decode(&snapshot.split_to(length));
            records.push(record.map_err(|error| refused(&error))?);
        }
        let image = MetadataImage::from_snapshot(&records, version).map_err(|error| refused(&error))?;
        self.events.restored(&image);
        self.publish(image);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new_state() -> (ImageState, ImageWatch) {
        let (node_id, incarnation) = (crate::metadata::NodeId(1), crate::metadata::IncarnationId::default());
        ImageState::new(MetadataEvents::new(node_id, incarnation, Arc::default()))
    }

    fn committed(
        state: &mut ImageState,
        index: u64,
        records: &[MetadataRecord],
    ) -> Result<(), StateMachineError> {
        let records: Vec<Bytes> = records.iter().map(|record| record.encode().into()).collect();
        state.apply(CommittedRecords { index, term: 1, proposal_id: 0, records: &records })
    }

    fn some_records() -> Vec<MetadataRecord> {
        let topic_id = ringmain_storage::TopicId([7; 16]);
        vec![
            MetadataRecord::ClusterCreated { cluster_id: "c".to_owned() },
            MetadataRecord::TopicCreated { topic_id, name: "gone".to_owned() },
            MetadataRecord::TopicDeleted { topic_id },
        ]
    }

    #[test]
    fn a_snapshot_gives_the_image_and_its_version_again() {
        let (mut one, _watch) = new_state();
        committed(&mut one, 4, &some_records()).expect("applies");
        let (mut other, watch) = new_state();
        other.restore(4, one.snapshot()).expect("restores");
        assert_eq!(watch.current(), one.image);
        assert_eq!(watch.current().version(), 3, "of a topic that is gone the snapshot has nothing");
        committed(&mut one, 5, &some_records()[1..]).expect("applies");
        committed(&mut other, 5, &some_records()[1..]).expect("applies");
        assert_eq!(other.image, one.image);
    }

    #[test]
    fn an_empty_state_has_a_snapshot_too() {
        let (one, _watch) = new_state();
        let (mut other, watch) = new_state();
        other.restore(1, one.snapshot()).expect("restores");
        assert_eq!(watch.current().version(), 0);
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_place() {
        let (mut state, watch) = new_state();
        committed(&mut state, 1, &some_records()).expect("applies");
        let refused =
            committed(&mut state, 9, &some_records()[2..]).expect_err("the topic is gone").to_string();
        assert!(refused.contains("entry 9 of the log"), "{refused}");
        let snapshot = state.snapshot();
        for length in [0, 5, 10, snapshot.len() - 1] {
            assert!(state.restore(7, snapshot.slice(..length)).is_err(), "{length} bytes of it");
        }
        assert_eq!(watch.current().version(), 3, "nothing of it was taken");
    }
}
