//! The aligned memory of one shard: size classes, a budget, and blocks that come back from other cores.
//!
//! What must hold: blocks in use and blocks kept for reuse together never exceed the budget; a block is in exactly one
//! place (a buffer, the return stack, a free list). Blocks that stay unused from one [`BufferPool::begin_period`] to the
//! next go back to the system, a few at a time.

use alloc::{boxed::Box, rc::Rc, sync::Arc, vec::Vec};
use core::{
    cell::{Cell, RefCell},
    future::poll_fn,
    task::{Poll, Waker},
};

use futures_util::task::AtomicWaker;

use super::{
    buffer::{AlignedBuffer, Memory},
    memory::{Block, ReturnStack},
};

/// The smallest buffer: one block of the usual file system and device.
pub const BUFFER_BYTES_MIN: usize = 4 * 1024;
/// The largest buffer. Larger writes are no cheaper a byte (measured from 1 MiB on), and occupy the device longer.
pub const BUFFER_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Memory that goes back to the allocator at once, or one block: unmapping 256 MiB in one go held a shard up for 20 ms.
const GIVE_BACK_BYTES: usize = 1 << 20;
/// Powers of two from the smallest to the largest.
const CLASS_COUNT: usize = (BUFFER_BYTES_MAX / BUFFER_BYTES_MIN).ilog2() as usize + 1;

const _: () = assert!(BUFFER_BYTES_MIN << (CLASS_COUNT - 1) == BUFFER_BYTES_MAX);

/// How a pool is set up.
#[derive(Clone, Copy, Debug)]
pub struct BufferPoolOptions {
    /// Most memory in use and kept for reuse. Costs that much resident memory when the shard is busy.
    pub budget_bytes: usize,
    /// On which addresses buffers start; raised to [`BUFFER_BYTES_MIN`], which every device is content with.
    pub alignment_bytes: usize,
}

impl Default for BufferPoolOptions {
    fn default() -> BufferPoolOptions {
        BufferPoolOptions { budget_bytes: 64 * 1024 * 1024, alignment_bytes: BUFFER_BYTES_MIN }
    }
}

/// How much memory a pool has, and in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BufferPoolStats {
    /// The limit.
    pub budget_bytes: usize,
    /// In use or kept for reuse.
    pub allocated_bytes: usize,
    /// Kept for reuse.
    pub free_bytes: usize,
}

/// Told about memory that stays mapped for long, so that a device can be prepared for it once instead of at each write.
pub(super) trait MemoryRegistrar {
    /// New memory; returns what [`Block::registration`] shall say, 0 for nothing.
    fn register(&self, block: &Block) -> u64;
    /// The memory of a registration is about to be given back.
    fn unregister(&self, registration: u64, bytes: usize);
}

/// What outlives the pool's owner: the way back for blocks that readers on other cores still hold.
pub(super) struct BlockHome {
    returned: ReturnStack,
    /// The shard's task that waits for a block, if any.
    waiter: AtomicWaker,
}

impl BlockHome {
    /// Called from any thread.
    pub(super) fn take_back(&self, block: Box<Block>) {
        self.returned.push(block);
        self.waiter.wake();
    }
}

/// The aligned memory of one shard. Clones share it.
#[derive(Clone)]
pub struct BufferPool(Rc<Owner>);

struct Owner {
    options: BufferPoolOptions,
    home: Arc<BlockHome>,
    free: RefCell<[FreeList; CLASS_COUNT]>,
    allocated_bytes: Cell<usize>,
    waiting: RefCell<Vec<Waker>>,
    registrar: RefCell<Option<Rc<dyn MemoryRegistrar>>>,
}

#[derive(Default)]
struct FreeList {
    #[expect(
        clippy::vec_box,
        reason = "blocks travel in their box, so that returning one allocates nothing"
    )]
    blocks: Vec<Box<Block>>,
    /// The fewest blocks that were free since the last [`BufferPool::begin_period`]: so many were not needed.
    fewest: usize,
}

impl BufferPool {
    /// An empty pool; memory is taken from the system as it is needed.
    pub fn new(mut options: BufferPoolOptions) -> BufferPool {
        options.alignment_bytes = options.alignment_bytes.max(BUFFER_BYTES_MIN);
        assert!(options.alignment_bytes.is_power_of_two(), "an alignment is a power of two");
        BufferPool(Rc::new(Owner {
            options,
            home: Arc::new(BlockHome { returned: ReturnStack::new(), waiter: AtomicWaker::new() }),
            free: RefCell::default(),
            allocated_bytes: Cell::new(0),
            waiting: RefCell::default(),
            registrar: RefCell::default(),
        }))
    }

    /// An empty buffer of at least `bytes`, or `None` while the budget is used up.
    ///
    /// # Panics
    /// When `bytes` is above [`BUFFER_BYTES_MAX`].
    pub fn try_take(&self, bytes: usize) -> Option<AlignedBuffer> {
        let class = class_of(bytes);
        self.0.collect_returned();
        let block = self.0.take_free(class).or_else(|| self.0.allocate(class))?;
        Some(AlignedBuffer::new(Memory::new(block, self.0.home.clone())))
    }

    /// An empty buffer of at least `bytes`, as soon as the budget allows.
    ///
    /// # Panics
    /// When `bytes` is above [`BUFFER_BYTES_MAX`] or the whole budget: it would wait for ever.
    pub async fn take(&self, bytes: usize) -> AlignedBuffer {
        assert!(
            class_bytes(class_of(bytes)) <= self.0.options.budget_bytes,
            "a buffer beyond the whole budget"
        );
        let waiting = WakeOthers(&self.0);
        let buffer = poll_fn(|context| {
            // Registered before looking: a block that comes back in between wakes us again.
            self.0.home.waiter.register(context.waker());
            match self.try_take(bytes) {
                Some(buffer) => Poll::Ready(buffer),
                None => {
                    self.0.wait(context.waker());
                    Poll::Pending
                }
            }
        })
        .await;
        drop(waiting);
        buffer
    }

    /// Gives memory back to the allocator that has not been used since the last [`BufferPool::begin_period`], and says how
    /// much: a slice of it, because each mebibyte costs a tenth of a millisecond. Call it until it gives nothing.
    pub fn give_back_idle(&self) -> usize {
        self.0.collect_returned();
        let before = self.0.allocated_bytes.get();
        let given_back = || before - self.0.allocated_bytes.get();
        let mut free = self.0.free.borrow_mut();
        for list in free.iter_mut() {
            while given_back() < GIVE_BACK_BYTES && list.fewest > 0 {
                let Some(block) = list.blocks.pop() else { break };
                list.fewest -= 1;
                self.0.release(*block);
            }
        }
        given_back()
    }

    /// From now on is counted what is not used.
    pub fn begin_period(&self) {
        self.0.collect_returned();
        for list in self.0.free.borrow_mut().iter_mut() {
            list.fewest = list.blocks.len();
        }
    }

    /// Most bytes that there may be.
    pub fn budget_bytes(&self) -> usize {
        self.0.options.budget_bytes
    }

    /// How much memory there is, and in which state.
    pub fn stats(&self) -> BufferPoolStats {
        self.0.collect_returned();
        let free_bytes =
            self.0.free.borrow().iter().flat_map(|list| &list.blocks).map(|block| block.size()).sum();
        BufferPoolStats {
            budget_bytes: self.0.options.budget_bytes,
            allocated_bytes: self.0.allocated_bytes.get(),
            free_bytes,
        }
    }

    #[cfg(feature = "direct")]
    pub(super) fn set_registrar(&self, registrar: Rc<dyn MemoryRegistrar>) {
        *self.0.registrar.borrow_mut() = Some(registrar);
    }
}

impl Owner {
    /// A returned block wakes only the task that registered last, which may want another size: whoever collects wakes all.
    fn collect_returned(&self) {
        let mut returned = self.home.returned.take_all().peekable();
        if returned.peek().is_none() {
            return;
        }
        let mut free = self.free.borrow_mut();
        for block in returned {
            free[class_of(block.size())].blocks.push(block);
        }
        drop(free);
        self.wake_waiting();
    }

    fn wake_waiting(&self) {
        let waiting = core::mem::take(&mut *self.waiting.borrow_mut());
        waiting.into_iter().for_each(Waker::wake);
    }

    fn take_free(&self, class: usize) -> Option<Box<Block>> {
        let list = &mut self.free.borrow_mut()[class];
        let block = list.blocks.pop();
        list.fewest = list.fewest.min(list.blocks.len());
        block
    }

    fn allocate(&self, class: usize) -> Option<Box<Block>> {
        let bytes = class_bytes(class);
        self.make_room(bytes);
        if self.allocated_bytes.get() + bytes > self.options.budget_bytes {
            return None;
        }
        let block = Block::allocate(bytes, self.options.alignment_bytes)?;
        self.allocated_bytes.set(self.allocated_bytes.get() + bytes);
        if let Some(registrar) = &*self.registrar.borrow() {
            block.set_registration(registrar.register(&block));
        }
        Some(block)
    }

    /// Gives back free blocks of other classes, the largest first, until `bytes` fit into the budget or none is left.
    fn make_room(&self, bytes: usize) {
        let mut free = self.free.borrow_mut();
        for list in free.iter_mut().rev() {
            while self.allocated_bytes.get() + bytes > self.options.budget_bytes {
                let Some(block) = list.blocks.pop() else {
                    break;
                };
                self.release(*block);
            }
            list.fewest = list.fewest.min(list.blocks.len());
        }
    }

    fn release(&self, block: Block) {
        if block.registration() != 0
            && let Some(registrar) = &*self.registrar.borrow()
        {
            registrar.unregister(block.registration(), block.size());
        }
        self.allocated_bytes.set(self.allocated_bytes.get() - block.size());
    }

    fn wait(&self, waker: &Waker) {
        let mut waiting = self.waiting.borrow_mut();
        if !waiting.iter().any(|known| known.will_wake(waker)) {
            waiting.push(waker.clone());
        }
    }
}

/// Whoever stops waiting, served or dropped, may have been the one that returned blocks wake: another has to register.
struct WakeOthers<'a>(&'a Owner);

impl Drop for WakeOthers<'_> {
    fn drop(&mut self) {
        self.0.wake_waiting();
    }
}

fn class_of(bytes: usize) -> usize {
    assert!(bytes <= BUFFER_BYTES_MAX, "a buffer of {bytes} bytes: {BUFFER_BYTES_MAX} are the most");
    bytes.max(BUFFER_BYTES_MIN).div_ceil(BUFFER_BYTES_MIN).next_power_of_two().ilog2() as usize
}

fn class_bytes(class: usize) -> usize {
    BUFFER_BYTES_MIN << class
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(budget_bytes: usize) -> BufferPool {
        BufferPool::new(BufferPoolOptions { budget_bytes, ..BufferPoolOptions::default() })
    }

    #[test]
    fn classes_are_powers_of_two() {
        let sizes = [1, 4096, 4097, 65536, 65537, BUFFER_BYTES_MAX].map(|bytes| class_bytes(class_of(bytes)));
        assert_eq!(sizes, [4096, 4096, 8192, 65536, 131072, BUFFER_BYTES_MAX]);
    }

    #[test]
    fn the_budget_holds_and_a_returned_buffer_is_used_again() {
        let pool = pool(8192);
        let first = pool.try_take(4096).expect("within the budget");
        let second = pool.try_take(4096).expect("within the budget");
        assert!(pool.try_take(1).is_none());
        let address = first.as_slice().as_ptr();
        drop(first);
        let third = pool.try_take(1).expect("one came back");
        assert_eq!(third.as_slice().as_ptr(), address);
        drop((second, third));
        assert_eq!(
            pool.stats(),
            BufferPoolStats { budget_bytes: 8192, allocated_bytes: 8192, free_bytes: 8192 }
        );
    }

    #[test]
    fn free_blocks_of_another_class_make_room() {
        let pool = pool(8192);
        drop((pool.try_take(4096), pool.try_take(4096)));
        assert_eq!(pool.try_take(8192).expect("both small ones are free").capacity(), 8192);
    }

    #[test]
    fn idle_memory_goes_back_after_one_unused_period() {
        let pool = pool(1 << 20);
        drop(pool.try_take(65536));
        assert_eq!(pool.give_back_idle(), 0);
        pool.begin_period();
        drop(pool.try_take(65536));
        assert_eq!(pool.give_back_idle(), 0, "it was used in this period");
        pool.begin_period();
        assert_eq!(pool.give_back_idle(), 65536);
        assert_eq!(pool.stats().allocated_bytes, 0);
    }

    #[test]
    fn much_idle_memory_goes_back_in_slices() {
        let pool = pool(8 << 20);
        let taken: Vec<_> = (0..8).map(|_| pool.try_take(1 << 20).expect("within the budget")).collect();
        drop(taken);
        pool.begin_period();
        // One of them is used meanwhile.
        drop(pool.try_take(1 << 20));
        let mut slices = 0;
        while pool.give_back_idle() > 0 {
            slices += 1;
            assert_eq!(pool.stats().allocated_bytes, (8 - slices) << 20);
        }
        assert_eq!(slices, 7);
    }

    #[test]
    fn a_slice_may_outlive_its_pool() {
        let mut buffer = pool(4096).try_take(4096).expect("within the budget");
        buffer.append(b"still here");
        assert_eq!(&*buffer.freeze(0..10), b"still here");
    }

    #[test]
    fn a_waiting_taker_is_woken_by_a_return() {
        let pool = pool(4096);
        let held = pool.try_take(4096).expect("within the budget");
        let mut waiting = Box::pin(pool.take(4096));
        let mut context = core::task::Context::from_waker(Waker::noop());
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        drop(held);
        assert!(waiting.as_mut().poll(&mut context).is_ready());
    }
}
