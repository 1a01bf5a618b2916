//! Links between everybody: they lose, delay, repeat and reorder messages, and are cut one way or both.

use super::message::Address;
use super::random::Random;

/// A way of sending is slow now and then.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Weather {
    pub(super) loss_permille: u64,
    pub(super) duplicate_permille: u64,
    pub(super) delay_ms_max: i64,
    /// So many messages are held for up to `straggler_ms_max`.
    pub(super) straggler_permille: u64,
    pub(super) straggler_ms_max: i64,
}

/// The links.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) weather: Weather,
    /// `blocked[from][to]`.
    blocked: Vec<Vec<bool>>,
    /// `clogged[from][to]`: until then nothing arrives; what was sent meanwhile arrives after it, in any order.
    clogged: Vec<Vec<i64>>,
}

impl Network {
    pub(super) fn new(addresses: usize, weather: Weather) -> Self {
        Self {
            weather,
            blocked: vec![vec![false; addresses]; addresses],
            clogged: vec![vec![0; addresses]; addresses],
        }
    }

    /// When the copies of a message arrive, in milliseconds from now.
    pub(super) fn fate(
        &mut self,
        random: &mut Random,
        now_ms: i64,
        from: Address,
        to: Address,
    ) -> [Option<i64>; 2] {
        let held_ms = (self.clogged[from][to] - now_ms).max(0);
        if self.blocked[from][to] || random.permille(self.weather.loss_permille) {
            return [None, None];
        }
        let mut delay = |weather: &Weather| {
            let delay_ms_max = if random.permille(weather.straggler_permille) {
                weather.straggler_ms_max
            } else {
                weather.delay_ms_max
            };
            held_ms + random.between(0, delay_ms_max)
        };
        let first = delay(&self.weather);
        let second = delay(&self.weather);
        let is_repeated = random.permille(self.weather.duplicate_permille);
        [Some(first), is_repeated.then_some(second)]
    }

    pub(super) fn cut(&mut self, from: Address, to: Address) {
        self.blocked[from][to] = from != to;
    }

    pub(super) fn clog(&mut self, from: Address, to: Address, until_ms: i64) {
        self.clogged[from][to] = self.clogged[from][to].max(until_ms);
    }

    pub(super) fn is_cut(&self, from: Address, to: Address) -> bool {
        self.blocked[from][to]
    }

    pub(super) fn heal(&mut self) {
        for row in &mut self.blocked {
            row.fill(false);
        }
    }

    pub(super) fn addresses(&self) -> usize {
        self.blocked.len()
    }
}
