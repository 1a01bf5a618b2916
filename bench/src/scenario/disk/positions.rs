//! Where the next operation of a row goes.

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// An operation at this position.
    At(u64),
    /// Nothing before the zeros that are under way.
    Wait,
    /// Nothing: the file is used up.
    End,
}

/// Positions one behind the other.
#[derive(Debug)]
pub(super) struct Positions {
    next: u64,
    size: u64,
    file_size: u64,
    order: Order,
}

#[derive(Debug)]
enum Order {
    /// From the start again at the end.
    Around,
    /// Once.
    Once,
    /// Once, and only where zeros were written before.
    BehindZeros(Zeros),
}

/// Zeros that are written ahead of the positions, a chunk at a time.
#[derive(Debug)]
struct Zeros {
    chunk: u64,
    /// Below it they are durable.
    written: u64,
    is_under_way: bool,
}

impl Positions {
    /// Around a file that holds whole operations.
    pub(super) fn around(size: usize, file_size: usize) -> Self {
        Self::new(size, file_size, Order::Around)
    }

    /// Once through a file.
    pub(super) fn once(size: usize, file_size: usize) -> Self {
        Self::new(size, file_size, Order::Once)
    }

    /// Once through a file, behind zeros.
    pub(super) fn behind_zeros(size: usize, file_size: usize, chunk: usize) -> Self {
        let zeros = Zeros { chunk: chunk as u64, written: 0, is_under_way: false };
        Self::new(size, file_size, Order::BehindZeros(zeros))
    }

    fn new(size: usize, file_size: usize, order: Order) -> Self {
        // The last operation must not reach over the end.
        let file_size = (file_size - file_size % size) as u64;
        Self { next: 0, size: size as u64, file_size, order }
    }

    /// The next position.
    pub(super) fn next(&mut self) -> Next {
        if self.next == self.file_size {
            match self.order {
                Order::Around => self.next = 0,
                Order::Once | Order::BehindZeros(_) => return Next::End,
            }
        }
        if let Order::BehindZeros(zeros) = &self.order
            && self.next + self.size > zeros.written
        {
            return Next::Wait;
        }
        let position = self.next;
        self.next += self.size;
        Next::At(position)
    }

    /// Where a chunk of zeros should be written now: while less than two chunks lie ahead.
    pub(super) fn next_zeros(&mut self) -> Option<u64> {
        let Order::BehindZeros(zeros) = &mut self.order else { return None };
        let is_far_enough = zeros.written >= self.next + self.size + zeros.chunk;
        if zeros.is_under_way || is_far_enough || zeros.written >= self.file_size {
            return None;
        }
        zeros.is_under_way = true;
        Some(zeros.written)
    }

    /// The zeros under way are durable.
    pub(super) fn zeros_written(&mut self) {
        if let Order::BehindZeros(zeros) = &mut self.order {
            zeros.is_under_way = false;
            zeros.written += zeros.chunk;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_ends_or_begins_again() {
        let mut around = Positions::around(4, 8);
        assert_eq!([around.next(), around.next(), around.next()], [Next::At(0), Next::At(4), Next::At(0)]);
        let mut once = Positions::once(4, 11);
        assert_eq!([once.next(), once.next(), once.next()], [Next::At(0), Next::At(4), Next::End]);
        assert_eq!(once.next_zeros(), None);
    }

    #[test]
    fn nothing_is_written_where_zeros_are_missing() {
        let mut positions = Positions::behind_zeros(4, 24, 8);
        assert_eq!(positions.next(), Next::Wait);
        assert_eq!(positions.next_zeros(), Some(0));
        assert_eq!(positions.next_zeros(), None, "one chunk at a time");
        positions.zeros_written();
        assert_eq!(positions.next_zeros(), Some(8), "another one ahead");
        assert_eq!(
            [positions.next(), positions.next(), positions.next()],
            [Next::At(0), Next::At(4), Next::Wait]
        );
        positions.zeros_written();
        assert_eq!(positions.next_zeros(), Some(16));
        positions.zeros_written();
        assert_eq!(positions.next_zeros(), None, "that was all");
        let rest: Vec<Next> = (0..5).map(|_| positions.next()).collect();
        assert_eq!(rest, [Next::At(8), Next::At(12), Next::At(16), Next::At(20), Next::End]);
    }

    #[test]
    fn operations_larger_than_a_chunk_wait_for_several() {
        let mut positions = Positions::behind_zeros(16, 32, 4);
        let mut chunks = 0;
        while positions.next() == Next::Wait {
            assert_eq!(positions.next_zeros(), Some(chunks * 4));
            positions.zeros_written();
            chunks += 1;
        }
        assert_eq!(chunks, 4);
    }
}
