//! Real power cuts under the real server: what it acknowledged with acks=all is there after each of them, and nothing that
//! nobody sent, on ext4 and XFS on a device that loses, tears and reorders what was not flushed.
//!
//! Most cuts come while producers send; some while the server still starts, and recovers from the last one; some after a
//! clean stop. The topic is deleted and made anew now and then, so that the journal holds entries of topics that are gone.
//! A control acknowledges without a flush (`write.caching=true`) and has to lose something, or the test proves nothing.
//!
//! `RINGMAIN_POWER_CUTS` is the number of cuts on each file system, `RINGMAIN_POWER_CUT_SEED` repeats a run as far as the
//! timing allows. Needs root, /dev/fuse, loop devices and both mkfs; says `SKIPPED` otherwise, which is a failure in CI.

mod client;
mod ledger;
#[path = "../../../storage/tests/power_cut/machine.rs"]
mod machine;
#[path = "../support/ports.rs"]
mod ports;
mod producer;
mod server;
#[path = "../../../storage/tests/power_cut/volatile_disk/mod.rs"]
mod volatile_disk;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant, SystemTime},
};

use client::Client;
use ledger::Ledger;
use machine::{FileSystem, Machine};
use producer::Producers;
use ringmain_storage::disk::simulated::Random;
use server::Server;

const CUTS: u64 = 60;
/// The control ends with its first loss; so many cuts without one would be no accident.
const CONTROL_CUTS: u64 = 12;
const TOPIC: &str = "power-cut";
const PARTITIONS: i32 = 6;
const PRODUCERS: u64 = 2;
/// Lives of the server between two topics of the same name.
const LIVES_OF_TOPIC: u64 = 8;
/// Cuts come so long after the first acknowledgement.
const PRODUCE_MS_MAX: u64 = 350;
/// Or so long after the start of the process.
const START_MS_MAX: u64 = 120;
/// How long acknowledgements are awaited that should not come any more.
const AFTERMATH: Duration = Duration::from_millis(100);
const FIRST_ACKNOWLEDGEMENT_MAX: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    if let Some(end) = volatile_disk::serve_if_asked() {
        return end;
    }
    if let Err(missing) = machine::prepare() {
        println!("SKIPPED: no power cuts without {missing}");
        let in_ci = env::var("CI").as_deref() == Ok("true");
        return if in_ci { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    }
    let seed = number("RINGMAIN_POWER_CUT_SEED").unwrap_or_else(seconds_since_1970);
    // One waits for its disk while the other works.
    let results: Vec<(FileSystem, Result<String, String>)> = thread::scope(|scope| {
        let threads = FileSystem::ALL.map(|file_system| {
            scope.spawn(move || [durable, control].map(|test| (file_system, test(file_system, seed))))
        });
        threads.into_iter().flat_map(|thread| thread.join().expect("a failure is a result")).collect()
    });
    for (file_system, result) in &results {
        let (Ok(sentence) | Err(sentence)) = result;
        println!("{file_system}, seed {seed}: {sentence}");
    }
    if results.iter().any(|(_, result)| result.is_err()) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// When the power goes in a life of the server.
enum Moment {
    WhileProducing,
    WhileStarting,
    AfterStop,
}

impl Moment {
    fn pick(random: &mut Random) -> Moment {
        match random.below(8) {
            0 => Moment::WhileStarting,
            1 => Moment::AfterStop,
            _ => Moment::WhileProducing,
        }
    }
}

/// A server's data over many lives.
struct Story {
    machine: Machine,
    ledger: Arc<Mutex<Ledger>>,
    random: Random,
    output: PathBuf,
    configs: &'static [(&'static str, &'static str)],
    lives_of_topic: u64,
    has_topic: bool,
    slowest_start: Duration,
}

fn durable(file_system: FileSystem, seed: u64) -> Result<String, String> {
    let cuts = number("RINGMAIN_POWER_CUTS").unwrap_or(CUTS);
    let begin = Instant::now();
    let mut story = Story::begin(file_system, seed, &[("segment.bytes", "1048576")])?;
    let mut kept = 0;
    for cut in 1..=cuts {
        let moment = Moment::pick(&mut story.random);
        let problems = story.live(&moment).map_err(|reason| format!("FAILED at cut {cut}: {reason}"))?;
        if !problems.is_empty() {
            return Err(format!("FAILED after {} cuts: {problems:#?}", cut - 1));
        }
        kept += story.ledger().kept();
    }
    let problems = story.end().map_err(|reason| format!("FAILED at the end: {reason}"))?;
    if !problems.is_empty() {
        return Err(format!("FAILED after {cuts} cuts: {problems:#?}"));
    }
    // Only of interest where something went wrong.
    let _result = fs::remove_file(&story.output);
    Ok(format!(
        "{cuts} power cuts in {} s, {kept} records looked for, none lost; slowest start {} ms",
        begin.elapsed().as_secs(),
        story.slowest_start.as_millis()
    ))
}

/// Without flushes something has to be missing soon.
fn control(file_system: FileSystem, seed: u64) -> Result<String, String> {
    let mut story = Story::begin(file_system, seed ^ 0xc0, &[("write.caching", "true")])?;
    for cut in 1..=CONTROL_CUTS {
        let problems = story.live(&Moment::WhileProducing).map_err(|reason| format!("FAILED: {reason}"))?;
        if let Some(first) = problems.first().and_then(|problem| problem.lines().next()) {
            let _result = fs::remove_file(&story.output);
            return Ok(format!("the control lost records by cut {}, as it must: {first}", cut - 1));
        }
    }
    Err(format!("FAILED: nothing was lost without flushes in {CONTROL_CUTS} cuts"))
}

impl Story {
    fn begin(
        file_system: FileSystem,
        seed: u64,
        configs: &'static [(&'static str, &'static str)],
    ) -> Result<Story, String> {
        let parent = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let output = parent.join(format!("power-cut-{file_system}-{seed}.output"));
        // What an earlier run with this seed said.
        let _result = fs::remove_file(&output);
        Ok(Story {
            machine: Machine::start(file_system, parent, seed)?,
            ledger: Arc::default(),
            random: Random::new(seed ^ 1),
            output,
            configs,
            lives_of_topic: 0,
            has_topic: false,
            slowest_start: Duration::ZERO,
        })
    }

    fn ledger(&self) -> std::sync::MutexGuard<'_, Ledger> {
        self.ledger.lock().expect("nobody panics with the ledger")
    }

    /// One life of the server, from its start to the restart of the machine; what it lost of its former lives.
    fn live(&mut self, moment: &Moment) -> Result<Vec<String>, String> {
        let mut server = self.spawn()?;
        if let Moment::WhileStarting = moment {
            self.sleep_below(START_MS_MAX);
            self.machine.cut_power()?;
            drop(server);
            self.machine.restart()?;
            return Ok(Vec::new());
        }
        let started = server.await_ready()?;
        self.slowest_start = self.slowest_start.max(started);
        let problems = self.check_and_renew(&server).map_err(|reason| with_words(&reason, &server))?;
        if !problems.is_empty() {
            return Ok(problems);
        }
        let producers = self.start_producers(&server)?;
        self.sleep_below(PRODUCE_MS_MAX);
        if let Moment::AfterStop = moment {
            let status = server.terminate()?;
            if !status.success() {
                return Err(format!("a clean stop ended with {status}"));
            }
            self.machine.cut_power()?;
        } else {
            self.machine.cut_power()?;
            thread::sleep(AFTERMATH);
            drop(server);
        }
        // They end with whatever error the end of the server was for them.
        let _result = producers.join();
        self.machine.restart()?;
        Ok(problems)
    }

    /// A last start, and a clean stop.
    fn end(&mut self) -> Result<Vec<String>, String> {
        let mut server = self.spawn()?;
        server.await_ready()?;
        let problems = self.check_and_renew(&server).map_err(|reason| with_words(&reason, &server))?;
        let status = server.terminate()?;
        if status.success() { Ok(problems) } else { Err(format!("a clean stop ended with {status}")) }
    }

    fn spawn(&self) -> Result<Server, String> {
        Server::spawn(self.machine.root(), &self.output)
            .map_err(|error| format!("the server cannot run: {error}"))
    }

    /// Compares the topic with the ledger; makes a new topic when it is time.
    fn check_and_renew(&mut self, server: &Server) -> Result<Vec<String>, String> {
        let text = |error: std::io::Error| error.to_string();
        let mut client = Client::connect(server.address()).map_err(text)?;
        if self.has_topic {
            let problems = self.ledger().check(&mut client, TOPIC);
            if !problems.is_empty() {
                return Ok(problems.into_iter().map(|problem| with_words(&problem, server)).collect());
            }
        }
        if self.has_topic && self.lives_of_topic >= LIVES_OF_TOPIC {
            client.delete_topic(TOPIC).map_err(text)?;
            self.has_topic = false;
        }
        if !self.has_topic {
            client.create_topic(TOPIC, PARTITIONS, self.configs).map_err(text)?;
            self.ledger().reset(PARTITIONS as usize);
            (self.has_topic, self.lives_of_topic) = (true, 0);
        }
        self.lives_of_topic += 1;
        Ok(Vec::new())
    }

    /// Starts producers and waits for their first acknowledgement.
    fn start_producers(&mut self, server: &Server) -> Result<Producers, String> {
        let seed = self.random.next_u64();
        let producers = Producers::start(PRODUCERS, server.address(), TOPIC, &self.ledger, seed);
        let begin = Instant::now();
        while producers.acknowledged() == 0 {
            if producers.are_finished() || begin.elapsed() > FIRST_ACKNOWLEDGEMENT_MAX {
                let reason = if producers.are_finished() { producers.join().err() } else { None };
                return Err(with_words(&format!("nothing was acknowledged: {reason:?}"), server));
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(producers)
    }

    fn sleep_below(&mut self, limit_ms: u64) {
        thread::sleep(Duration::from_millis(self.random.below(limit_ms)));
    }
}

fn with_words(problem: &str, server: &Server) -> String {
    format!("{problem}\nthe server said:\n{}", server.last_words())
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is not a number")))
}

fn seconds_since_1970() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the clock is after 1970");
    now.as_secs()
}
