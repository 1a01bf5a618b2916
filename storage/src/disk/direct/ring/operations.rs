//! The operations under way, and what each one keeps alive until the kernel is done with it.

use std::{mem, os::fd::OwnedFd, rc::Rc, sync::Arc, task::Waker};

use super::super::{
    super::buffer::{AlignedBuffer, BufferSlice},
    file::Descriptor,
};

/// What an operation keeps alive.
#[expect(dead_code, reason = "kept for its lifetime, not to be read")]
pub(in super::super) struct Held {
    /// The open file. The kernel has its own reference only from the submission on.
    pub(in super::super) descriptor: Option<Rc<Descriptor>>,
    /// The same file, opened to read through the page cache.
    pub(in super::super) cached: Option<Arc<OwnedFd>>,
    /// The memory that is read or written.
    pub(in super::super) memory: HeldMemory,
}

/// The memory of an operation. Moving it does not move the bytes.
pub(in super::super) enum HeldMemory {
    /// None.
    Nothing,
    /// Written from.
    Slice(BufferSlice),
    /// Written from, one behind the other, as the vectors say.
    Slices(Vec<BufferSlice>, #[expect(dead_code, reason = "the kernel reads it")] Vec<libc::iovec>),
    /// Read into, behind what it holds.
    Buffer(AlignedBuffer),
    /// Read into, from its start.
    Heap(Vec<u8>),
}

impl HeldMemory {
    /// Bytes that the operation writes; `None` if it is no write.
    pub(super) fn written_bytes(&self) -> Option<usize> {
        match self {
            HeldMemory::Slice(slice) => Some(slice.len()),
            HeldMemory::Slices(slices, _) => Some(slices.iter().map(|slice| slice.len()).sum()),
            HeldMemory::Nothing | HeldMemory::Buffer(_) | HeldMemory::Heap(_) => None,
        }
    }
}

impl Held {
    pub(super) const NOTHING: Held = Held { descriptor: None, cached: None, memory: HeldMemory::Nothing };
}

/// Which operation; valid until its end was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OperationKey(pub(super) u32);

/// An operation whose completion has arrived.
pub(super) struct Ended {
    pub(super) waker: Option<Waker>,
    pub(super) abandoned: bool,
    pub(super) admitted: bool,
}

#[derive(Default)]
pub(super) struct Operations {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Used slots; the ended ones that nobody took yet count.
    used: usize,
}

enum Slot {
    Free,
    UnderWay {
        waker: Option<Waker>,
        held: Held,
    },
    /// Nobody waits any more; what it holds must still live.
    Abandoned {
        admitted: bool,
        _held: Held,
    },
    Ended {
        result: i32,
        held: Held,
    },
}

impl Operations {
    pub(super) fn len(&self) -> usize {
        self.used
    }

    /// A new operation.
    pub(super) fn insert(&mut self, held: Held) -> OperationKey {
        let slot = Slot::UnderWay { waker: None, held };
        self.used += 1;
        match self.free.pop() {
            Some(index) => {
                self.slots[index as usize] = slot;
                OperationKey(index)
            }
            None => {
                self.slots.push(slot);
                OperationKey(u32::try_from(self.slots.len() - 1).expect("fewer operations than descriptors"))
            }
        }
    }

    /// Notes the completion of an operation, with what the system call would have returned: an error number is negative.
    pub(super) fn complete(&mut self, key: OperationKey, result: i32) -> Ended {
        match mem::replace(&mut self.slots[key.0 as usize], Slot::Free) {
            Slot::UnderWay { waker, held } => {
                self.slots[key.0 as usize] = Slot::Ended { result, held };
                Ended { waker, abandoned: false, admitted: false }
            }
            Slot::Abandoned { admitted, _held } => {
                self.vacate(key);
                Ended { waker: None, abandoned: true, admitted }
            }
            Slot::Free | Slot::Ended { .. } => panic!("a completion of an operation that has ended"),
        }
    }

    /// The result, if it has ended; otherwise remembers whom to wake.
    pub(super) fn take_ended(&mut self, key: OperationKey, waker: &Waker) -> Option<(i32, Held)> {
        match &mut self.slots[key.0 as usize] {
            Slot::UnderWay { waker: known, .. } => {
                match known {
                    Some(known) => known.clone_from(waker),
                    None => *known = Some(waker.clone()),
                }
                None
            }
            Slot::Ended { .. } => match self.vacate(key) {
                Slot::Ended { result, held } => Some((result, held)),
                _ => unreachable!("matched just above"),
            },
            Slot::Free | Slot::Abandoned { .. } => panic!("nobody waits for this operation"),
        }
    }

    /// Whether completions are still to come.
    pub(super) fn is_under_way(&self, key: OperationKey) -> bool {
        matches!(self.slots[key.0 as usize], Slot::UnderWay { .. } | Slot::Abandoned { .. })
    }

    /// Nobody waits any more. Whether it had ended already.
    pub(super) fn abandon(&mut self, key: OperationKey, admitted: bool) -> bool {
        match mem::replace(&mut self.slots[key.0 as usize], Slot::Free) {
            Slot::UnderWay { held, .. } => {
                self.slots[key.0 as usize] = Slot::Abandoned { admitted, _held: held };
                false
            }
            ended @ Slot::Ended { .. } => {
                self.slots[key.0 as usize] = ended;
                self.vacate(key);
                true
            }
            Slot::Free | Slot::Abandoned { .. } => panic!("nobody waits for this operation"),
        }
    }

    fn vacate(&mut self, key: OperationKey) -> Slot {
        self.used -= 1;
        self.free.push(key.0);
        mem::replace(&mut self.slots[key.0 as usize], Slot::Free)
    }
}

impl Drop for Operations {
    fn drop(&mut self) {
        // The ring is going away with operations under way: the kernel may still write to their memory. Better lost.
        for slot in self.slots.drain(..) {
            if matches!(slot, Slot::UnderWay { .. } | Slot::Abandoned { .. }) {
                mem::forget(slot);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_waits_until_it_is_taken() {
        let mut operations = Operations::default();
        let key = operations.insert(Held::NOTHING);
        assert!(operations.take_ended(key, Waker::noop()).is_none());
        assert!(operations.complete(key, -5).waker.is_some());
        let (taken, _held) = operations.take_ended(key, Waker::noop()).expect("it has ended");
        assert_eq!((taken, operations.len()), (-5, 0));
    }

    #[test]
    fn an_abandoned_operation_holds_its_memory_until_the_end() {
        let mut operations = Operations::default();
        let pool = crate::disk::BufferPool::new(crate::disk::BufferPoolOptions::default());
        let mut buffer = pool.try_take(4096).expect("an empty pool");
        buffer.advance(4096);
        let memory = HeldMemory::Slice(buffer.freeze(0..4096));
        drop(buffer);
        let key = operations.insert(Held { memory, ..Held::NOTHING });
        assert!(!operations.abandon(key, true));
        assert_eq!(pool.stats().free_bytes, 0, "the kernel may still read it");
        assert!(operations.complete(key, 0).abandoned);
        assert_eq!((pool.stats().free_bytes, operations.len()), (4096, 0));
    }

    #[test]
    fn slots_are_used_again() {
        let mut operations = Operations::default();
        for _ in 0..3 {
            let key = operations.insert(Held::NOTHING);
            assert_eq!(key, OperationKey(0));
            operations.complete(key, 0);
            assert!(operations.abandon(key, false));
        }
    }
}
