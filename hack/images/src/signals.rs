//! Waiting for signals without a handler: they are blocked and taken one by one.

// There is no safe interface in std; this module is the only place that needs one.
#![allow(unsafe_code)]

use std::{mem::MaybeUninit, ptr};

/// Signals that are blocked for this process and taken with [`Signals::wait`].
pub struct Signals(libc::sigset_t);

impl Signals {
    /// Blocks SIGINT, SIGTERM and SIGCHLD. Call it before any thread is started: threads inherit
    /// the mask.
    pub fn block() -> Self {
        let mut set = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: sigemptyset initialises `set` before any other use and it is valid in every call.
        unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGCHLD] {
                libc::sigaddset(set.as_mut_ptr(), signal);
            }
            libc::sigprocmask(libc::SIG_BLOCK, set.as_ptr(), ptr::null_mut());
            Self(set.assume_init())
        }
    }

    /// Waits until SIGINT or SIGTERM comes, reaping children that end meanwhile.
    pub fn wait_for_end(&self) {
        loop {
            let mut received: libc::c_int = 0;
            // SAFETY: both pointers are valid for the call.
            if unsafe { libc::sigwait(&self.0, &mut received) } != 0 || received != libc::SIGCHLD {
                return;
            }
            // SAFETY: a null status is allowed; WNOHANG returns when no child is left to reap.
            while unsafe { libc::waitpid(-1, ptr::null_mut(), libc::WNOHANG) } > 0 {}
        }
    }
}
