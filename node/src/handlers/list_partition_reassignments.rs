//! ListPartitionReassignments: which partitions are moving between brokers. None ever is on a single node.

use ringmain_protocol::messages::{ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse};

pub(super) fn answer(
    _: &ListPartitionReassignmentsRequest<'_>,
) -> ListPartitionReassignmentsResponse<'static> {
    ListPartitionReassignmentsResponse { error_message: None, ..Default::default() }
}
