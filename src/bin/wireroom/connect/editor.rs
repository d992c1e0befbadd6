//! The line editor: a prompt with a history, and what arrives is printed above it.

use std::{
    env, fs, io,
    path::PathBuf,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, SyncSender, TrySendError},
    },
    thread,
    time::{Duration, Instant},
};

use rustyline::{Config, DefaultEditor, ExternalPrinter as _, error::ReadlineError};
use wireroom::Handle;

use super::{
    Options,
    input::{Input, Inputs, queue, spawn},
};
use crate::{dial::plain, failure::Failure};

const PROMPT: &str = "> ";
/// Lines that are remembered.
const REMEMBERED: usize = 1_000;
/// Prints that wait at most for a terminal that has been stopped.
const WAITING: usize = 64;
/// How long the last prints may take.
const LAST: Duration = Duration::from_secs(3);
/// How long the editor may take to have the terminal to itself, once it was asked for a line.
const RAW: Duration = Duration::from_millis(200);
/// How long the prompt may take to be cleared at the end.
const CLEAR: Duration = Duration::from_millis(500);
/// How often it is looked whether any of it is so.
const LOOK: Duration = Duration::from_millis(2);

/// Prints above the prompt.
#[derive(Debug)]
pub(super) struct Above {
    prints: SyncSender<Print>,
}

enum Print {
    Text(String),
    /// Answered when all before it are on the terminal.
    Flush(SyncSender<()>),
}

impl Above {
    /// Waits while a stopped terminal holds 64 prints.
    pub(super) fn print(&self, text: String) {
        // The thread has gone if the terminal has.
        let _ = self.prints.send(Print::Text(text));
    }

    /// Waits until all is printed, three seconds at most: the terminal may have been stopped.
    pub(super) fn flush(&self) {
        let until = Instant::now() + LAST;
        let (done, is_done) = mpsc::sync_channel(1);
        let mut flush = Print::Flush(done);
        while let Err(TrySendError::Full(again)) = self.prints.try_send(flush) {
            if Instant::now() >= until {
                return;
            }
            flush = again;
            thread::sleep(LOOK);
        }
        let _ = is_done.recv_timeout(until.saturating_duration_since(Instant::now()));
    }
}

/// Some terminals know no cursor: there lines are read as they come.
pub(super) fn is_possible() -> bool {
    let term = env::var("TERM").unwrap_or_default();
    !["", "dumb", "cons25", "emacs"].iter().any(|dumb| term.eq_ignore_ascii_case(dumb))
}

/// Has the editor ask for the next line. It waits for that: behind the last line it leaves the terminal alone.
#[derive(Debug)]
pub(super) struct Asker(SyncSender<()>);

impl Asker {
    pub(super) fn ask(&self) {
        READING.store(true, Ordering::Release);
        // The thread has gone if the terminal has; and it waits for one word at a time.
        let _ = self.0.try_send(());
    }
}

/// The editor has been asked for a line, and has none yet.
static READING: AtomicBool = AtomicBool::new(false);

/// Starts the editor on a thread.
pub(super) fn start(options: &Options, handle: Handle) -> Result<(Inputs, Above, Asker), Failure> {
    let broken = |error: ReadlineError| Failure::here(format_args!("the terminal: {error}"));
    remember_terminal();
    let config = Config::builder()
        .max_history_size(REMEMBERED)
        .and_then(|config| config.history_ignore_dups(true))
        .map_err(broken)?
        .history_ignore_space(true)
        .build();
    let mut editor = DefaultEditor::with_config(config).map_err(broken)?;
    let mut printer = editor.create_external_printer().map_err(broken)?;
    let history = history_file(options);
    if let Some(file) = &history {
        // One that is not there yet, or is another program's, is no reason to stop; one that was named has been looked at.
        let _ = editor.load_history(file);
    }

    let (prints, to_print) = mpsc::sync_channel(WAITING);
    spawn(move || {
        for print in to_print {
            match print {
                Print::Text(text) => _ = printer.print(text),
                Print::Flush(done) => {
                    // The editor has room for one print: when it has taken the second of these, what came before them is there.
                    // Up and down again, they show nothing.
                    let nothing = || "\x1b[A\n".to_owned();
                    let _ = printer.print(nothing()).and_then(|()| printer.print(nothing()));
                    let _ = done.send(());
                }
            }
        }
    })?;

    let (tell, inputs) = queue(handle);
    let (ask, asked) = mpsc::sync_channel(1);
    spawn(move || {
        for () in asked {
            let line = editor.readline(PROMPT);
            READING.store(false, Ordering::Release);
            let next = match line {
                Ok(line) => {
                    if editor.add_history_entry(line.as_str()).unwrap_or(false)
                        && let Some(file) = &history
                    {
                        // A history that cannot be written is no reason to stop.
                        let _ = editor.append_history(file);
                    }
                    Input::Line(line.into_bytes())
                }
                Err(ReadlineError::Eof) => Input::End,
                Err(ReadlineError::Interrupted) => Input::Interrupted,
                Err(error) => Input::Broken(Failure::here(format_args!("the terminal: {error}"))),
            };
            if !tell.tell(next) {
                return;
            }
        }
    })?;
    Ok((inputs, Above { prints }, Asker(ask)))
}

/// A history that was named has to be a file that can be read and written, or made.
pub(super) fn check_history(options: &Options) -> Result<(), Failure> {
    let Some(file) = &options.history else { return Ok(()) };
    let mut open = fs::OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut open, 0o600);
    let opened = open.read(true).append(true).create(true).open(file);
    opened.map(|_| ()).map_err(|error| Failure::here(format_args!("--history {}: {}", file.display(), plain(&error))))
}

/// Where lines are remembered, in a directory of the user's alone.
fn history_file(options: &Options) -> Option<PathBuf> {
    if options.no_history {
        return None;
    }
    if let Some(file) = &options.history {
        return Some(file.clone());
    }
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    // The XDG Base Directory Specification: relative paths are to be ignored.
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
    let directory = state.join("wireroom");
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(&directory).ok()?;
    Some(directory.join("history"))
}

#[cfg(unix)]
static TERMINAL: Mutex<Option<nix::sys::termios::Termios>> = Mutex::new(None);

#[cfg(unix)]
fn remember_terminal() {
    *TERMINAL.lock().unwrap_or_else(PoisonError::into_inner) = nix::sys::termios::tcgetattr(io::stdin()).ok();
}

/// Puts the terminal back as it was: the editor, which may be waiting for a key, cannot be asked to.
#[cfg(unix)]
pub(super) fn restore_terminal() {
    use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};

    if let Some(terminal) = TERMINAL.lock().unwrap_or_else(PoisonError::into_inner).take() {
        // An editor that is about to take the terminal would do so afterwards.
        let until = Instant::now() + RAW;
        let is_taken = || tcgetattr(io::stdin()).is_ok_and(|now| !now.local_flags.contains(LocalFlags::ICANON));
        while READING.load(Ordering::Acquire) && !is_taken() && Instant::now() < until {
            thread::sleep(LOOK);
        }
        // Not behind what is still to be shown: a terminal that has been stopped shows nothing, and takes nothing.
        let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &terminal);
        let (done, is_done) = mpsc::sync_channel(1);
        let cleared = spawn(move || {
            // To the line's start, without the prompt; pastes are no longer marked.
            let _ = crate::show::print("\r\x1b[J\x1b[?2004l");
            let _ = done.send(());
        });
        if cleared.is_ok() {
            let _ = is_done.recv_timeout(CLEAR);
        }
    }
}

#[cfg(not(unix))]
fn remember_terminal() {}

#[cfg(not(unix))]
pub(super) fn restore_terminal() {}
