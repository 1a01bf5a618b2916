//! The 16 bytes that stand for a key in the map of a pass: SipHash-2-4 with 128 bits of output, keyed.
//!
//! Two keys with one hash would be taken for one, and a record that is still valid would go. Among a thousand million keys
//! of one pass some two meet by chance with a probability of 10^-21. The node gives a secret key, so that nobody can make
//! records whose keys meet.

/// The hash of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyHash(pub(crate) u64, pub(crate) u64);

/// Hashes a key.
pub(crate) fn hash(secret: [u64; 2], key: &[u8]) -> KeyHash {
    let mut state = State::new(secret);
    let (words, rest) = key.as_chunks::<8>();
    for word in words {
        state.take(u64::from_le_bytes(*word));
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    // The last byte is the key's length, of which the function uses eight bits.
    last[7] = key.len().to_le_bytes()[0];
    state.take(u64::from_le_bytes(last));
    state.finish()
}

struct State([u64; 4]);

impl State {
    fn new([first, second]: [u64; 2]) -> State {
        // "somepseudorandomlygeneratedbytes", and the mark of the long output.
        State([
            first ^ 0x736f_6d65_7073_6575,
            second ^ 0x646f_7261_6e64_6f6d ^ 0xee,
            first ^ 0x6c79_6765_6e65_7261,
            second ^ 0x7465_6462_7974_6573,
        ])
    }

    fn take(&mut self, word: u64) {
        self.0[3] ^= word;
        self.mix();
        self.mix();
        self.0[0] ^= word;
    }

    fn mix(&mut self) {
        let [mut v0, mut v1, mut v2, mut v3] = self.0;
        v0 = v0.wrapping_add(v1);
        v1 = v1.rotate_left(13) ^ v0;
        v0 = v0.rotate_left(32);
        v2 = v2.wrapping_add(v3);
        v3 = v3.rotate_left(16) ^ v2;
        v0 = v0.wrapping_add(v3);
        v3 = v3.rotate_left(21) ^ v0;
        v2 = v2.wrapping_add(v1);
        v1 = v1.rotate_left(17) ^ v2;
        v2 = v2.rotate_left(32);
        self.0 = [v0, v1, v2, v3];
    }

    fn finish(mut self) -> KeyHash {
        let half = |state: &mut State| {
            for _ in 0..4 {
                state.mix();
            }
            state.0.iter().fold(0, |all, word| all ^ word)
        };
        self.0[2] ^= 0xee;
        let first = half(&mut self);
        self.0[1] ^= 0xdd;
        KeyHash(first, half(&mut self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn the_reference_implementations_vectors() {
        let secret = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];
        let bytes: Vec<u8> = (0..64).collect();
        let expected = [
            (
                0,
                [
                    0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02,
                    0x93,
                ],
            ),
            (
                1,
                [
                    0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc,
                    0x45,
                ],
            ),
            (
                8,
                [
                    0x3b, 0x62, 0xa9, 0xba, 0x62, 0x58, 0xf5, 0x61, 0x0f, 0x83, 0xe2, 0x64, 0xf3, 0x14, 0x97,
                    0xb4,
                ],
            ),
        ];
        for (length, expected) in expected {
            let KeyHash(first, second) = hash(secret, &bytes[..length]);
            let found = [first.to_le_bytes(), second.to_le_bytes()].concat();
            assert_eq!(found, expected, "of {length} bytes");
        }
    }
}
