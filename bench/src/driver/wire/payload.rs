//! What stands in records: lines of an event log such as services write, and random bytes.
//!
//! The lines have the redundancy of real ones (the same field names, few users and places, numbers
//! that differ), so codecs shrink them as they shrink real logs. Random bytes do not shrink.

/// What begins the pseudo-random sequence; any number but zero serves.
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

const ACTIONS: [&str; 8] = ["view", "search", "add_to_cart", "checkout", "login", "logout", "rate", "refund"];
const PLACES: [&str; 8] =
    ["/products", "/cart", "/account/orders", "/help", "/", "/search?q=lamp", "/products/reviews", "/gifts"];
const REGIONS: [&str; 5] = ["eu-central", "eu-west", "us-east", "ap-south", "sa-east"];

/// Values, one after the other.
#[derive(Debug)]
pub(crate) struct Payload {
    state: u64,
    random_share: f64,
    line: Vec<u8>,
    used: usize,
    events: u64,
}

impl Payload {
    /// Values with so large a share of random bytes.
    pub(crate) fn new(random_share: f64) -> Self {
        assert!((0.0..=1.0).contains(&random_share), "a share lies between nothing and all");
        Self { state: SEED, random_share, line: Vec::new(), used: 0, events: 0 }
    }

    /// Appends the next value: text, then the random bytes.
    pub(crate) fn append_value(&mut self, bytes: &mut Vec<u8>, size: usize) {
        let random = (size as f64 * self.random_share).round() as usize;
        for _ in random..size {
            bytes.push(self.next_of_text());
        }
        for _ in 0..random.min(size) {
            bytes.push(self.next_random().to_le_bytes()[3]);
        }
    }

    fn next_of_text(&mut self) -> u8 {
        if self.used == self.line.len() {
            self.line = self.next_line();
            self.used = 0;
        }
        self.used += 1;
        self.line[self.used - 1]
    }

    fn next_line(&mut self) -> Vec<u8> {
        self.events += 1;
        let (time, user) = (1_767_225_600_000 + self.events * 37, self.next_random() % 5000);
        let action = ACTIONS[(self.next_random() % 8) as usize];
        let place = PLACES[(self.next_random() % 8) as usize];
        let region = REGIONS[(self.next_random() % 5) as usize];
        let (session, milliseconds) = (self.next_random() % (1 << 32), self.next_random() % 900);
        format!(
            r#"{{"time":{time},"user":"user-{user:05}","session":"{session:08x}","action":"{action}","path":"{place}","region":"{region}","status":200,"duration_ms":{milliseconds}}}"#
        )
        .into_bytes()
    }

    /// The next number of a xorshift generator.
    fn next_random(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_random_bytes_is_what_was_asked_for() {
        for (share, text) in [(0.0, 1000), (0.25, 750), (1.0, 0)] {
            let mut bytes = Vec::new();
            Payload::new(share).append_value(&mut bytes, 1000);
            assert_eq!(bytes.len(), 1000);
            let readable = bytes.iter().take_while(|byte| (b' '..=b'~').contains(byte)).count();
            assert!((text..text + 20).contains(&readable), "{readable} of {text}");
        }
    }
}
