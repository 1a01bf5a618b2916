//! The happy path, and each operation once.
use super::bed::*;
use crate::offset::{LeaderEpoch, Offset};

#[test]
fn what_is_appended_can_be_read_before_and_after_a_restart() {
    run(async {
        let disk = disk(1);
        let store = open(&disk, small_options()).await;
        let log = store.open_log(identity("t", 0), small_config(), START_MS).await.expect("it opens");
        let mut expected = alloc::vec::Vec::new();
        for n in 0..400usize {
            let batch = batch(3, &alloc::vec![n as u8; 100 + n * 7 % 900]);
            let appended = append(&store, &log, &batch, START_MS).await;
            assert_eq!(appended.base_offset, Offset::new(n as i64 * 3));
            expected.extend(stamped(&batch, appended.base_offset, LeaderEpoch::ZERO));
            if n % 5 == 0 {
                round(&store).await;
                assert_eq!(log.flushed_offset(), log.log_end_offset());
            }
            if n % 50 == 0 {
                store.maintain(START_MS).await.expect("upkeep");
            }
        }
        for max_bytes in [1, 3000, 100_000, 10_000_000] {
            assert!(read_all(&log, Offset::ZERO, max_bytes).await == expected, "max_bytes {max_bytes}");
        }
        store.close().await.expect("it closes");
        let store = open(&disk, small_options()).await;
        let log = store.open_log(identity("t", 0), small_config(), START_MS).await.expect("it opens");
        assert_eq!(log.log_end_offset(), Offset::new(1200));
        assert!(log.segment_count() > 2);
        for max_bytes in [1, 3000, 10_000_000] {
            assert!(read_all(&log, Offset::ZERO, max_bytes).await == expected, "max_bytes {max_bytes}");
        }
    });
}
