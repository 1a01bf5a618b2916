//! The few system calls that the standard library lacks: pinning, limits, signals, clock ticks, page
//! cache, and in `system/` those about many descriptors. All `unsafe` of this crate is here, but for
//! the ring of the scenario `disk`.

pub(crate) mod epoll;

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Pins the calling thread, and the threads that it will start, to one processor.
pub(crate) fn pin_thread(core: usize) -> io::Result<()> {
    if core >= libc::CPU_SETSIZE as usize {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("there is no processor {core}")));
    }
    // SAFETY: `cpu_set_t` is plain bits, for which zeros are the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: `core` is within the set's size, as checked above.
    unsafe { libc::CPU_SET(core, &mut set) };
    // SAFETY: the set lives through the call and its true size is given.
    let result = unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Lets the calling thread's sleeps end when they should, rather than up to 50 us later.
pub(crate) fn make_sleeps_exact() {
    // SAFETY: PR_SET_TIMERSLACK takes a number and touches no memory of ours. It cannot fail for
    // the calling thread; if it did, latencies would only be longer.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1_usize, 0, 0, 0) };
}

/// Clock ticks a second, the unit of the CPU times in `/proc`.
pub(crate) fn clock_ticks_per_second() -> io::Result<u64> {
    // SAFETY: takes and returns numbers.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    u64::try_from(ticks).ok().filter(|ticks| *ticks > 0).ok_or_else(io::Error::last_os_error)
}

/// CPU time of this process, all threads, to the nanosecond.
pub(crate) fn own_cpu_time() -> io::Result<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the place for the answer lives through the call.
    if unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let seconds = u64::try_from(time.tv_sec).map_err(io::Error::other)?;
    let nanoseconds = u32::try_from(time.tv_nsec).map_err(io::Error::other)?;
    Ok(Duration::new(seconds, nanoseconds))
}

/// Allows this process as many open files as the system lets it have.
pub(crate) fn raise_open_files_limit() -> io::Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the place for the answer lives through the call.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: the limit lives through the call.
    let result = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Set once somebody asked this process to end.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From now on, an interrupt or a request to end is only noted, so that a run can clean up first.
pub(crate) fn note_interrupts() {
    extern "C" fn note(_signal: libc::c_int) {
        INTERRUPTED.store(true, Ordering::Relaxed);
    }
    let handler = note as extern "C" fn(libc::c_int);
    for signal in [libc::SIGINT, libc::SIGTERM] {
        // SAFETY: the handler only stores into an atomic, which is safe at any moment. It cannot
        // fail for these signals.
        unsafe { libc::signal(signal, handler as libc::sighandler_t) };
    }
}

/// Whether somebody asked this process to end.
pub(crate) fn is_interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// What a process is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// To end at once.
    Kill,
    /// To stand still.
    Stop,
    /// To go on.
    Continue,
}

/// Sends a signal to one process.
pub(crate) fn send_signal(pid: u32, signal: Signal) -> io::Result<()> {
    // Zero and negative numbers would mean groups of processes.
    let pid = libc::pid_t::try_from(pid).ok().filter(|pid| *pid > 0);
    let pid = pid.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "that is no process id"))?;
    let number = match signal {
        Signal::Kill => libc::SIGKILL,
        Signal::Stop => libc::SIGSTOP,
        Signal::Continue => libc::SIGCONT,
    };
    // SAFETY: takes numbers and touches no memory of ours.
    if unsafe { libc::kill(pid, number) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Takes the file's clean pages out of the page cache; dirty ones stay.
pub(crate) fn evict_from_page_cache(file: &File) -> io::Result<()> {
    // SAFETY: takes the number of a descriptor that `file` keeps open, and numbers.
    let error = unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
    if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) }
}

/// Private memory straight from the kernel, in small pages.
#[derive(Debug)]
pub(crate) struct AnonymousMemory {
    start: *mut u8,
    bytes: usize,
    page_bytes: usize,
}

impl AnonymousMemory {
    /// Maps it; nothing is present before it is touched.
    pub(crate) fn map(bytes: usize) -> io::Result<Self> {
        // SAFETY: takes and returns numbers.
        let page_bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        let page_bytes = usize::try_from(page_bytes).map_err(|_| io::Error::last_os_error())?;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: asks for a new mapping wherever there is room; no existing memory is affected.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), bytes, protection, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let memory = Self { start: start.cast(), bytes, page_bytes };
        memory.advise(0, bytes, libc::MADV_NOHUGEPAGE)?;
        Ok(memory)
    }

    /// Whole pages in it.
    pub(crate) fn page_count(&self) -> usize {
        self.bytes / self.page_bytes
    }

    /// Writes to each page, so that it is present.
    pub(crate) fn touch(&mut self) {
        for page in 0..self.page_count() {
            // SAFETY: the page lies in the mapping, which is writable and ours alone.
            unsafe { self.start.add(page * self.page_bytes).write_volatile(1) };
        }
    }

    /// Gives pages back to the kernel.
    pub(crate) fn give_back(&mut self, pages: std::ops::Range<usize>) -> io::Result<()> {
        assert!(pages.end <= self.page_count(), "the pages are this memory's");
        self.advise(pages.start * self.page_bytes, pages.len() * self.page_bytes, libc::MADV_DONTNEED)
    }

    fn advise(&self, position: usize, bytes: usize, advice: libc::c_int) -> io::Result<()> {
        // SAFETY: the range lies in the mapping, to which nobody holds references.
        let result = unsafe { libc::madvise(self.start.add(position).cast(), bytes, advice) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

impl Drop for AnonymousMemory {
    fn drop(&mut self) {
        // SAFETY: the mapping is whole and nobody holds references into it. Unmapping what was
        // mapped cannot fail.
        unsafe { libc::munmap(self.start.cast(), self.bytes) };
    }
}
