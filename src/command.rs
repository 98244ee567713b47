//! The door of programs: the only file that starts one.
//!
//! A program is started without a shell, from a directory of `PATH` that is absolute, with the environment as it was when
//! the credential was made. It gets a time, after which it is killed with all that it has started; so it is when nobody
//! waits for it any more.
//!
//! It is waited for on a thread. Tokio's own way sets up something for the whole process when its runtime is made, behind a
//! lock that a child would find taken for ever if it was forked at that moment.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use zeroize::Zeroizing;

/// The most that is read of what a program writes. Tokens have a few kilobytes.
const OUTPUT_MAX: u64 = 64 * 1024;

/// Where programs run: a directory that the system owns.
const DIRECTORY: &str = "/bin";

/// What is needed to start programs.
#[derive(Clone)]
pub struct Programs {
    directories: Vec<PathBuf>,
    environment: Vec<(OsString, OsString)>,
    limit: Duration,
}

/// What a program left behind.
pub struct Output {
    /// Whether it said that it had succeeded.
    pub is_success: bool,
    /// What it wrote, which may be a token.
    pub text: Zeroizing<Vec<u8>>,
    /// What it complained of.
    pub complaint: Zeroizing<Vec<u8>>,
}

/// Why there is no output.
#[derive(Debug)]
pub enum Failure {
    /// There is no such program.
    NotFound,
    /// It could not be started, or not be read.
    Broken(io::Error),
    /// It took too long.
    Slow,
}

impl Programs {
    /// Programs that get this time, with this environment.
    pub fn new(environment: Vec<(OsString, OsString)>, limit: Duration) -> Self {
        let path = environment.iter().find(|(name, _)| name == "PATH").map(|(_, path)| path.clone());
        // A relative directory would be one of the application's, or of whoever started it.
        let directories = std::env::split_paths(&path.unwrap_or_default()).filter(|path| path.is_absolute()).collect();
        Self { directories, environment, limit }
    }

    /// The time that a program gets.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// Runs a program to its end.
    pub async fn run(&self, name: &str, arguments: &[&str], more: (&str, &str)) -> Result<Output, Failure> {
        let path = self.find(name).ok_or(Failure::NotFound)?;
        tokio::time::timeout(self.limit, self.output(&path, arguments, more)).await.unwrap_or(Err(Failure::Slow))
    }

    fn find(&self, name: &str) -> Option<PathBuf> {
        let is_program =
            |path: &PathBuf| path.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0);
        self.directories.iter().map(|directory| directory.join(name)).find(is_program)
    }

    #[allow(clippy::disallowed_methods, reason = "this file is the door of programs")]
    async fn output(&self, path: &Path, arguments: &[&str], more: (&str, &str)) -> Result<Output, Failure> {
        let mut command = Command::new(path);
        command
            .args(arguments)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env(more.0, more.1)
            .current_dir(DIRECTORY)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let child = command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Failure::NotFound,
            _ => Failure::Broken(error),
        })?;
        let running = Running(Arc::new(Mutex::new(Some(child))));
        let waiting = Running(Arc::clone(&running.0));
        let ended = tokio::task::spawn_blocking(move || waiting.output()).await;
        ended.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(Failure::Broken)
    }
}

/// Reads to the end, and keeps the beginning.
fn read(stream: Option<impl Read>) -> io::Result<Zeroizing<Vec<u8>>> {
    // A buffer that grew would leave what it held behind, unwiped.
    let mut content = Zeroizing::new(Vec::with_capacity(usize::try_from(OUTPUT_MAX).unwrap_or_default()));
    if let Some(mut stream) = stream {
        stream.by_ref().take(OUTPUT_MAX).read_to_end(&mut content)?;
        io::copy(&mut stream, &mut io::sink())?;
    }
    Ok(content)
}

/// A program that runs, for whoever waits for it and for the thread that does. When the first of them lets go before its
/// end it is killed, and so are those that it has started: the tools that we run are scripts that start others.
struct Running(Arc<Mutex<Option<Child>>>);

impl Running {
    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the program writes until its end.
    fn output(&self) -> io::Result<Output> {
        let (id, text, complaint) = match self.child().as_mut() {
            Some(child) => (id_of(child), child.stdout.take(), child.stderr.take()),
            None => return Err(io::ErrorKind::NotFound.into()),
        };
        // Both at once: a program whose one pipe is full does not go on to fill the other.
        let complaint = thread::spawn(move || read(complaint));
        let text = read(text)?;
        let complaint = complaint.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))?;
        // Its end is seen without collecting it, so that until then its id is nobody else's.
        if let Some(id) = id {
            let _ = waitid(WaitId::Pid(id), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
        }
        let child = self.child().take();
        // Where the application collects all children itself, what was written has to tell.
        let is_success = child.is_none_or(|mut child| child.wait().map_or(true, |status| status.success()));
        Ok(Output { is_success, text, complaint })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(mut child) = self.child().take() else { return };
        if let Some(id) = id_of(&child) {
            // One that has ended meanwhile needs no killing.
            let _ = kill_process_group(id, Signal::KILL);
        }
        let _ = child.wait();
    }
}

fn id_of(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Programs in a directory of this test, with a shell to run their scripts.
    fn programs(directory: &Path, limit: Duration) -> Programs {
        let path = format!("relative:{}", directory.display());
        Programs::new(vec![("PATH".into(), path.into()), ("KEPT".into(), "kept".into())], limit)
    }

    fn script(directory: &Path, name: &str, text: &str) {
        let path = directory.join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn directory(name: &str) -> PathBuf {
        let directory = std::env::temp_dir().join(format!("hubpass-{name}-{}", crate::random::hex_name()));
        fs::create_dir(&directory).unwrap();
        directory
    }

    const AMPLE: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn a_program_gets_its_arguments_and_the_environment_as_it_was() {
        let here = directory("runs");
        script(&here, "tool", r#"echo "$1|$KEPT|$MORE|$(pwd -P)"; echo complaint >&2; exit 3"#);
        let output = programs(&here, AMPLE).run("tool", &["$(id) ;x"], ("MORE", "more")).await.ok().unwrap();
        assert!(!output.is_success);
        let directory = fs::canonicalize(DIRECTORY).unwrap();
        let expected = format!("$(id) ;x|kept|more|{}", directory.display());
        assert_eq!(String::from_utf8_lossy(&output.text).trim_end(), expected);
        assert_eq!(String::from_utf8_lossy(&output.complaint).trim_end(), "complaint");
        fs::remove_dir_all(here).unwrap();
    }

    #[tokio::test]
    async fn what_is_no_program_is_not_found() {
        let here = directory("none");
        fs::write(here.join("tool"), "no program").unwrap();
        assert!(matches!(programs(&here, AMPLE).run("tool", &[], ("", "x")).await, Err(Failure::NotFound)));
        fs::remove_dir_all(here).unwrap();
    }

    #[tokio::test]
    async fn a_slow_program_is_killed_with_what_it_has_started() {
        let here = directory("slow");
        let pipe = here.join("pipe");
        // The grandchild holds the pipe open; its end is the end of the pipe.
        script(
            &here,
            "tool",
            &format!("mkfifo {0}; (exec 3>{0}; PATH=/bin:/usr/bin sleep 600) & wait", pipe.display()),
        );
        let mut slow = programs(&here, Duration::from_millis(500));
        slow.environment[0].1 = format!("{}:/bin:/usr/bin", here.display()).into();
        slow.directories = vec![here.clone()];
        let reader = {
            let pipe = pipe.clone();
            tokio::task::spawn_blocking(move || {
                while !pipe.exists() {
                    std::thread::yield_now();
                }
                crate::files::read(&pipe).unwrap()
            })
        };
        assert!(matches!(slow.run("tool", &[], ("A", "b")).await, Err(Failure::Slow)));
        let content = tokio::time::timeout(AMPLE, reader).await.expect("the grandchild lives on").unwrap();
        assert!(content.is_empty());
        fs::remove_dir_all(here).unwrap();
    }
}
