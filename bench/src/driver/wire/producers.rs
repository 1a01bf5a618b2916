//! Connections that send the same encoded request, each as fast as answers make room, or all
//! together at a rate.
//!
//! At a rate, request `n` belongs to connection `n mod connections` and partition `n mod partitions`,
//! whatever the broker does: a connection whose pipeline is full keeps its own requests waiting and
//! no others, and their latency counts from when they were due. So who knows the schedule knows when
//! the request behind any offset was due.
//!
//! Where partitions have several leaders, each connection goes to that of its partitions, and keeps to
//! them without a rate, too.

use std::io;
use std::rc::Rc;
use std::time::Instant;

use crate::driver::wire::client::Client;
use crate::driver::wire::leaders::Leaders;
use crate::driver::wire::pipeline::Pipeline;
use crate::driver::wire::produce_frame::{ProduceAnswer, ProduceFrame};
use crate::schedule::Schedule;
use crate::system::epoll::{Epoll, Readiness};

/// What the connections carry, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProducerSettings {
    /// 0: no answers; 1: from the leader; -1: from all in-sync replicas.
    pub(crate) acks: i16,
    /// Connections.
    pub(crate) connections: usize,
    /// Requests in flight on each of them.
    pub(crate) in_flight: usize,
    /// Partitions; requests go to one after the other.
    pub(crate) partitions: u32,
    /// Requests a second, all connections together.
    pub(crate) rate: Option<f64>,
}

/// The connections and what is under way on them.
#[derive(Debug)]
pub(crate) struct Producers {
    settings: ProducerSettings,
    /// Whether a connection serves its own partitions only, also without a rate.
    keeps_to_partitions: bool,
    answer: ProduceAnswer,
    lanes: Vec<Lane>,
    /// When requests begin, if by the clock.
    schedule: Option<Schedule>,
    /// Requests of the schedule that may have begun.
    released: u64,
    /// Requests begun.
    begun: u64,
    /// No more requests begin at or behind it.
    last: Option<Instant>,
    /// So many requests begin in all, where nothing else says when to end.
    most: u64,
    /// Connections that can go on without the kernel saying so.
    runnable: Vec<usize>,
}

#[derive(Debug)]
struct Lane {
    pipeline: Pipeline,
    /// Requests begun on it.
    begun: u64,
    is_runnable: bool,
}

impl Producers {
    /// Connects; tokens are the connections' indices.
    pub(crate) fn connect(
        leaders: &Leaders,
        topic: &str,
        batch: &[u8],
        settings: ProducerSettings,
        epoll: &Epoll,
    ) -> io::Result<Self> {
        let frame = Rc::new(ProduceFrame::new(topic, settings.acks, batch)?);
        let mut lanes = Vec::with_capacity(settings.connections);
        for index in 0..settings.connections {
            let address = leaders.of(partitions_of(index, &settings))?;
            let pipeline = Pipeline::connect(address, Rc::clone(&frame), settings.in_flight)?;
            epoll.add(pipeline.fd(), index as u64)?;
            lanes.push(Lane { pipeline, begun: 0, is_runnable: true });
        }
        Ok(Self {
            settings,
            keeps_to_partitions: !leaders.is_one(),
            answer: ProduceAnswer::new(topic)?,
            runnable: if settings.rate.is_some() { Vec::new() } else { (0..lanes.len()).collect() },
            lanes,
            schedule: settings.rate.map(|rate| Schedule::new(Instant::now(), rate)),
            released: 0,
            begun: 0,
            last: None,
            most: u64::MAX,
        })
    }

    /// When requests begin, if by the clock.
    pub(crate) fn schedule(&self) -> Option<Schedule> {
        self.schedule
    }

    /// Requests begun so far.
    pub(crate) fn begun(&self) -> u64 {
        self.begun
    }

    /// Without a rate: so many requests begin in all, and not one more.
    pub(crate) fn end_after(&mut self, requests: u64) {
        self.most = requests;
    }

    /// Requests that are due and could not begin yet.
    pub(crate) fn backlog(&self) -> u64 {
        if self.schedule.is_some() { self.released - self.begun } else { 0 }
    }

    /// No requests begin that are due at `moment` or later.
    pub(crate) fn stop_at(&mut self, moment: Instant) {
        self.last = Some(moment);
    }

    /// Whether nothing is due that was not answered.
    pub(crate) fn is_idle(&self) -> bool {
        self.backlog() == 0 && self.lanes.iter().all(|lane| lane.pipeline.in_flight() == 0)
    }

    /// Begins what may begin now. Says when to come again, if not by news of a connection.
    pub(crate) fn begin(
        &mut self,
        now: Instant,
        done: &mut impl FnMut(Instant),
    ) -> io::Result<Option<Instant>> {
        for index in std::mem::take(&mut self.runnable) {
            self.lanes[index].is_runnable = false;
            self.advance(index, now, done)?;
        }
        let next = self.release(now, done)?;
        Ok(if self.runnable.is_empty() { next } else { Some(now) })
    }

    /// Begins what is due by the clock; says when the next request is.
    fn release(&mut self, now: Instant, done: &mut impl FnMut(Instant)) -> io::Result<Option<Instant>> {
        let Some(schedule) = self.schedule else { return Ok(None) };
        loop {
            let due = schedule.due(self.released);
            if self.last.is_some_and(|last| due >= last) {
                return Ok(None);
            }
            if due > now {
                return Ok(Some(due));
            }
            let index = (self.released % self.lanes.len() as u64) as usize;
            self.released += 1;
            self.advance(index, now, done)?;
        }
    }

    /// Takes news of a connection; `done` is told when each answered request began.
    pub(crate) fn on_news(
        &mut self,
        news: Readiness,
        now: Instant,
        done: &mut impl FnMut(Instant),
    ) -> io::Result<()> {
        let index = usize::try_from(news.token).map_err(io::Error::other)?;
        if news.readable {
            self.lanes[index].pipeline.read(&self.answer, &mut *done)?;
        }
        self.advance(index, now, done)
    }

    /// Fills one connection's pipeline with what may begin, and writes.
    fn advance(&mut self, index: usize, now: Instant, done: &mut impl FnMut(Instant)) -> io::Result<()> {
        while self.lanes[index].pipeline.has_room() {
            let Some((request, began)) = self.next_request(index, now) else { break };
            let partition = request % u64::from(self.settings.partitions);
            let partition = i32::try_from(partition).expect("partitions were created, so they are few");
            let lane = &mut self.lanes[index];
            lane.pipeline.push(partition, began);
            lane.begun += 1;
            self.begun += 1;
        }
        let lane = &mut self.lanes[index];
        lane.pipeline.write()?;
        if self.settings.acks == 0 {
            lane.pipeline.retire_written(&mut *done);
            // Where no answer makes room, what was written does: go on without being told, but let
            // the others have their turn.
            let may_go_on = lane.pipeline.has_room() && self.has_next(index);
            if may_go_on && !self.lanes[index].is_runnable {
                self.lanes[index].is_runnable = true;
                self.runnable.push(index);
            }
        }
        Ok(())
    }

    /// Number and begin of the request that may begin next on a connection.
    fn next_request(&self, index: usize, now: Instant) -> Option<(u64, Instant)> {
        let may_begin = self.begun < self.most && self.last.is_none_or(|last| now < last);
        match self.schedule {
            None if self.keeps_to_partitions => {
                let request = self.lanes[index].begun * self.lanes.len() as u64 + index as u64;
                may_begin.then_some((request, now))
            }
            None => may_begin.then_some((self.begun, now)),
            Some(schedule) => {
                let request = self.lanes[index].begun * self.lanes.len() as u64 + index as u64;
                (request < self.released).then(|| (request, schedule.due(request)))
            }
        }
    }

    fn has_next(&self, index: usize) -> bool {
        match self.schedule {
            None => self.last.is_none() && self.begun < self.most,
            Some(_) => self.lanes[index].begun * self.lanes.len() as u64 + (index as u64) < self.released,
        }
    }

    /// Makes sure that the broker took all requests that get no answers.
    pub(crate) fn confirm(self, topic: &str) -> io::Result<()> {
        if self.settings.acks == 0 {
            // Requests on a connection are served in order, so when the broker has answered
            // another one it has taken all that had no answers.
            for lane in self.lanes {
                Client::from_stream(lane.pipeline.into_stream())?.partition_count(topic)?;
            }
        }
        Ok(())
    }
}

/// The partitions of the requests that belong to a connection.
fn partitions_of(index: usize, settings: &ProducerSettings) -> impl Iterator<Item = i32> {
    let (connections, partitions) = (settings.connections as u64, u64::from(settings.partitions));
    // Behind so many requests they repeat.
    (0..partitions).map(move |request| ((request * connections + index as u64) % partitions) as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_serves_the_partitions_of_its_requests() {
        let partitions = |connections, partitions, index| {
            let settings = ProducerSettings { acks: -1, connections, in_flight: 1, partitions, rate: None };
            let mut found: Vec<i32> = partitions_of(index, &settings).collect();
            found.sort_unstable();
            found.dedup();
            found
        };
        assert_eq!(partitions(4, 4, 3), [3], "one each");
        assert_eq!(partitions(4, 1, 3), [0], "all share it");
        assert_eq!(partitions(2, 4, 1), [1, 3]);
        assert_eq!(partitions(4, 2, 3), [1]);
        assert_eq!(partitions(3, 2, 0), [0, 1], "numbers that do not fit mix");
    }
}
