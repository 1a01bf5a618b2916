//! The processes of what is measured: one broker, or the nodes of a cluster, whose costs are added.

use std::io;

use serde::Serialize;

use crate::context::clocks::{self, CpuTime};

/// Process ids on this machine; none if they are not known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Processes(Vec<u32>);

impl Processes {
    /// These processes.
    pub(crate) fn new(pids: Vec<u32>) -> Self {
        Self(pids)
    }

    /// Reads `PID[+PID]...`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let pids = text.split('+').map(|pid| pid.parse().map_err(|error| format!("pid {pid}: {error}")));
        pids.collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn is_known(&self) -> bool {
        !self.0.is_empty()
    }

    /// All of them.
    pub(crate) fn ids(&self) -> &[u32] {
        &self.0
    }

    /// The first, which stands for all where one is enough.
    pub(crate) fn first(&self) -> Option<u32> {
        self.0.first().copied()
    }

    /// CPU time of all of them.
    pub(crate) fn cpu_time(&self) -> io::Result<Option<CpuTime>> {
        let mut sum = None;
        for pid in &self.0 {
            let time = clocks::process_cpu_time(*pid)?;
            let before = sum.unwrap_or_default();
            sum = Some(time.plus(before));
        }
        Ok(sum)
    }

    /// Memory of all of them.
    pub(crate) fn rss_bytes(&self) -> io::Result<Option<u64>> {
        let each = self.0.iter().map(|pid| clocks::process_rss_bytes(*pid));
        let sum = each.sum::<io::Result<u64>>()?;
        Ok(self.is_known().then_some(sum))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_added() {
        let own = std::process::id();
        let twice = Processes::parse(&format!("{own}+{own}")).expect("parses");
        assert_eq!((twice.ids(), twice.first()), (&[own, own][..], Some(own)));
        let once = Processes::new(vec![own]).rss_bytes().expect("readable").expect("is known");
        let both = twice.rss_bytes().expect("readable").expect("is known");
        assert!(both > once + once / 2, "{both} {once}");
        assert_eq!(Processes::default().cpu_time().expect("nothing is read"), None);
        assert!(Processes::parse("1+x").is_err());
    }
}
