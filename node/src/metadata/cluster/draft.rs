//! What the controller has decided and not proposed yet: the image that it would give, and its records, cut into proposals.
//!
//! What must hold: each decision is made against the image that the ones before it give; the records reach the log in their
//! order; those of one decision stay together unless they are too many for one proposal.

use std::sync::Arc;

use bytes::Bytes;
use ringmain_quorum::{PROPOSAL_BYTES_MAX, PROPOSAL_RECORDS_MAX};

use crate::metadata::{ApplyError, MetadataImage, MetadataRecord};

/// Decisions that wait to be proposed.
pub(super) struct Draft {
    image: MetadataImage,
    records: Vec<MetadataRecord>,
    proposals: Vec<Vec<Bytes>>,
    /// Bytes of the last proposal.
    last_bytes: usize,
}

impl Draft {
    /// Nothing is decided yet.
    pub(super) fn against(image: &MetadataImage) -> Self {
        Self { image: image.clone(), records: Vec::new(), proposals: Vec::new(), last_bytes: 0 }
    }

    /// The image that the next decision is made against.
    pub(super) fn image(&self) -> &MetadataImage {
        &self.image
    }

    /// Everything that was decided.
    pub(super) fn records(&self) -> &[MetadataRecord] {
        &self.records
    }

    /// Takes a decision. One whose records do not fit the image is refused as a whole.
    pub(super) fn add(&mut self, records: Vec<MetadataRecord>) -> Result<(), ApplyError> {
        if records.is_empty() {
            return Ok(());
        }
        self.image = self.image.after(&records)?;
        let encoded: Vec<Bytes> = records.iter().map(|record| record.encode().into()).collect();
        let size_bytes: usize = encoded.iter().map(Bytes::len).sum();
        if !self.has_room(encoded.len(), size_bytes) {
            self.begin_proposal();
        }
        for record in encoded {
            if !self.has_room(1, record.len()) {
                self.begin_proposal();
            }
            self.last_bytes += record.len();
            self.proposals.last_mut().expect("has room, so there is one").push(record);
        }
        self.records.extend(records);
        Ok(())
    }

    /// What is to be proposed, in this order, and the image after all of it.
    pub(super) fn into_proposals(self) -> (Vec<Arc<[Bytes]>>, MetadataImage) {
        (self.proposals.into_iter().map(Arc::from).collect(), self.image)
    }

    fn has_room(&self, records: usize, size_bytes: usize) -> bool {
        self.proposals.last().is_some_and(|last| {
            last.len() + records <= PROPOSAL_RECORDS_MAX && self.last_bytes + size_bytes <= PROPOSAL_BYTES_MAX
        })
    }

    fn begin_proposal(&mut self) {
        self.proposals.push(Vec::new());
        self.last_bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::ConfigResource;

    fn configs(count: usize, value_bytes: usize) -> Vec<MetadataRecord> {
        let set = |number| MetadataRecord::ConfigSet {
            resource: ConfigResource::Cluster,
            name: format!("name-{number}"),
            value: "v".repeat(value_bytes),
        };
        (0..count).map(set).collect()
    }

    #[test]
    fn small_decisions_share_a_proposal_and_keep_their_order() {
        let mut draft = Draft::against(&MetadataImage::default());
        draft.add(configs(2, 10)).expect("fits");
        draft.add(Vec::new()).expect("fits");
        draft.add(configs(3, 10)).expect("fits");
        assert_eq!((draft.records().len(), draft.image().version()), (5, 5));
        let expected: Vec<Bytes> = draft.records().iter().map(|record| record.encode().into()).collect();
        let (proposals, image) = draft.into_proposals();
        assert_eq!(proposals, [Arc::from(expected)]);
        assert_eq!(image.version(), 5);
    }

    #[test]
    fn a_decision_is_cut_only_where_it_must_be() {
        const RECORD_BYTES: usize = 100 << 10;
        let mut draft = Draft::against(&MetadataImage::default());
        draft.add(configs(6, RECORD_BYTES)).expect("fits");
        draft.add(configs(6, RECORD_BYTES)).expect("fits");
        draft.add(configs(25, RECORD_BYTES)).expect("fits");
        let (proposals, _) = draft.into_proposals();
        let lengths: Vec<usize> = proposals.iter().map(|records| records.len()).collect();
        assert_eq!(lengths, [6, 6, 10, 10, 5]);
    }

    #[test]
    fn a_decision_that_does_not_fit_the_image_leaves_nothing() {
        let mut draft = Draft::against(&MetadataImage::default());
        draft.add(configs(1, 1)).expect("fits");
        let topic_id = crate::metadata::TopicId([1; 16]);
        let impossible = vec![configs(1, 1).remove(0), MetadataRecord::TopicDeleted { topic_id }];
        assert!(draft.add(impossible).is_err());
        assert_eq!((draft.records().len(), draft.image().version()), (1, 1));
        assert_eq!(draft.into_proposals().0.len(), 1);
    }
}
