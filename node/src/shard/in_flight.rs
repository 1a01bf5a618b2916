//! Produce operations of one partition between append and answer, by their token.
//!
//! What must hold: tokens rise by one; each is taken out once. Operations are answered nearly in order, so a queue with
//! few holes serves where a map would hash every request twice.

use std::collections::VecDeque;

use ringmain_replication::RequestToken;

/// Values by token.
pub(super) struct InFlight<T> {
    /// Token of the first entry.
    first: u64,
    entries: VecDeque<Option<T>>,
}

impl<T> Default for InFlight<T> {
    fn default() -> Self {
        Self { first: 0, entries: VecDeque::new() }
    }
}

impl<T> InFlight<T> {
    /// Keeps a value; its token is the next one.
    pub(super) fn insert(&mut self, value: T) -> RequestToken {
        let token = RequestToken(self.first + self.entries.len() as u64);
        self.entries.push_back(Some(value));
        token
    }

    /// The value of a token.
    pub(super) fn get_mut(&mut self, token: RequestToken) -> Option<&mut T> {
        let place = self.place(token)?;
        self.entries.get_mut(place)?.as_mut()
    }

    /// Takes the value of a token out.
    pub(super) fn remove(&mut self, token: RequestToken) -> Option<T> {
        let place = self.place(token)?;
        let value = self.entries.get_mut(place)?.take();
        while let Some(None) = self.entries.front() {
            self.entries.pop_front();
            self.first += 1;
        }
        value
    }

    fn place(&self, token: RequestToken) -> Option<usize> {
        usize::try_from(token.0.checked_sub(self.first)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_taken_out_once_in_any_order() {
        let mut in_flight = InFlight::default();
        let tokens: Vec<_> = ["a", "b", "c"].map(|value| in_flight.insert(value)).into();
        assert_eq!(in_flight.remove(tokens[1]), Some("b"));
        assert_eq!(in_flight.remove(tokens[1]), None);
        assert_eq!(in_flight.get_mut(tokens[2]).copied(), Some("c"));
        assert_eq!(in_flight.remove(tokens[0]), Some("a"));
        assert_eq!(in_flight.remove(tokens[0]), None);
        assert_eq!(in_flight.insert("d"), RequestToken(3));
        assert_eq!(in_flight.remove(tokens[2]), Some("c"));
        assert_eq!(in_flight.entries.len(), 1);
    }
}
