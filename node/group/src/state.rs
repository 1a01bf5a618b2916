//! Where a group stands in its life, by Kafka's names.

/// State of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupState {
    /// No members; its offsets may live on.
    Empty,
    /// Members are asked to join again; answers to joins wait.
    PreparingRebalance,
    /// A generation was formed; its members wait for the leader's assignment.
    CompletingRebalance,
    /// Every member has an assignment.
    Stable,
    /// Being deleted: its tombstones are under way.
    Dead,
}

impl GroupState {
    /// All states, in the order in which a group passes through them.
    pub const ALL: [Self; 5] =
        [Self::Empty, Self::PreparingRebalance, Self::CompletingRebalance, Self::Stable, Self::Dead];

    /// Where [`GroupState::ALL`] has it.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Kafka's name, as DescribeGroups and ListGroups send it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
            Self::Dead => "Dead",
        }
    }

    /// The state of that name, without regard to case, as ListGroups filters it. Kafka knows further names, of
    /// groups of other kinds; no group here is ever in those.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name().eq_ignore_ascii_case(name))
    }
}
