//! What the runs need of the machine: name spaces of their own, so that nothing is left behind and nothing collides.
//!
//! The process leaves the network and the mounts of the others before it starts a thread. Addresses, ports and names of name
//! spaces are then its own, two runs side by side do not see each other, and the kernel takes everything away with the last
//! process of the run. Every child ends with the thread that started it, which is the main thread.
#![expect(unsafe_code, reason = "name spaces, signals, and children that end with their parent")]

use std::{
    fs::{self, File},
    io::{self, Write},
    os::{fd::AsRawFd, unix::process::CommandExt},
    path::Path,
    process::{Child, Command, Stdio},
};

/// Where `ip netns` keeps its names.
const NETWORKS: &str = "/run/netns";

/// Leaves the name spaces of the others, if everything that is needed is there; otherwise says what is missing.
pub(crate) fn enter() -> Result<(), String> {
    // SAFETY: no memory is involved.
    if unsafe { libc::geteuid() } != 0 {
        return Err("only root may make networks".into());
    }
    for (tool, package) in [("ip", "iproute2"), ("nft", "nftables")] {
        let found = Command::new(tool).arg("-V").stdout(Stdio::null()).status();
        found.map_err(|error| format!("{tool} (package {package}): {error}"))?;
    }
    // SAFETY: no memory is involved.
    if unsafe { libc::unshare(libc::CLONE_NEWNS | libc::CLONE_NEWNET) } != 0 {
        return Err(format!("no name spaces of our own: {}", io::Error::last_os_error()));
    }
    run("mount", &["--make-rprivate", "/"])?;
    fs::create_dir_all(NETWORKS).map_err(|error| format!("{NETWORKS}: {error}"))?;
    run("mount", &["-t", "tmpfs", "networks-of-a-test", NETWORKS])?;
    run("ip", &["link", "set", "lo", "up"])?;
    let forward = "/proc/sys/net/ipv4/ip_forward";
    fs::write(forward, "1").map_err(|error| format!("{forward}: {error}"))
}

/// Makes a network name space.
pub(crate) fn add_network(name: &str) -> Result<(), String> {
    run("ip", &["netns", "add", name])
}

/// Lets a program run in a network, and end with us.
pub(crate) fn confine(command: &mut Command, network: Option<&str>) -> Result<(), String> {
    let network = match network {
        None => None,
        Some(name) => {
            let path = Path::new(NETWORKS).join(name);
            Some(File::open(&path).map_err(|error| format!("{}: {error}", path.display()))?)
        }
    };
    let enter = move || {
        if let Some(network) = &network {
            // SAFETY: the descriptor is open as long as the closure lives; no memory is involved.
            check(unsafe { libc::setns(network.as_raw_fd(), libc::CLONE_NEWNET) })?;
        }
        // SAFETY: no memory is involved.
        check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) })
    };
    // SAFETY: setns(2) and prctl(2) may be called between fork and exec, and no memory is involved.
    unsafe { command.pre_exec(enter) };
    Ok(())
}

/// Sends a signal to a child that has not been waited for.
pub(crate) fn signal(child: &Child, signal: i32) -> Result<(), String> {
    let process = i32::try_from(child.id()).map_err(|error| error.to_string())?;
    // SAFETY: no memory is involved, and the child has not been waited for, so the number is still its own.
    check(unsafe { libc::kill(process, signal) }).map_err(|error| format!("signal {signal}: {error}"))
}

/// Runs a program to its end.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    finished(program, arguments, output)
}

/// Runs a program that reads what it shall do.
pub(crate) fn run_with(program: &str, arguments: &[&str], input: &str) -> Result<(), String> {
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.map_err(|error| format!("{program} cannot run: {error}"))?;
    let mut pipe = child.stdin.take().expect("it was asked for");
    pipe.write_all(input.as_bytes()).map_err(|error| format!("{program} does not listen: {error}"))?;
    drop(pipe);
    finished(program, arguments, child.wait_with_output())
}

fn finished(
    program: &str,
    arguments: &[&str],
    output: io::Result<std::process::Output>,
) -> Result<(), String> {
    let output = output.map_err(|error| format!("{program} cannot run: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{program} {arguments:?} failed: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

fn check(result: i32) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
