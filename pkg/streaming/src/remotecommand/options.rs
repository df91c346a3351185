//! Which streams a request asks for.

/// Streams of an exec or attach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// The client sends input.
    pub stdin: bool,
    /// The client wants standard output.
    pub stdout: bool,
    /// The client wants standard error.
    pub stderr: bool,
    /// The process has a terminal; then there is no separate standard error.
    pub tty: bool,
}

impl Options {
    /// From a query of the kubelet's API: `input=1&output=1&error=1&tty=1`. The names the apiserver
    /// takes (`stdin=true` and so on) are understood as well.
    ///
    /// # Errors
    /// When no stream is asked for; the text is upstream's (pkg/kubelet/server/remotecommand
    /// `NewOptions` of cri-streaming).
    pub fn from_query<'a>(query: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, &'static str> {
        let mut options = Self::default();
        for (name, value) in query {
            let on = matches!(value, "1" | "true");
            match name {
                "input" | "stdin" => options.stdin |= on,
                "output" | "stdout" => options.stdout |= on,
                "error" | "stderr" => options.stderr |= on,
                "tty" => options.tty |= on,
                _ => {}
            }
        }
        if options.tty {
            options.stderr = false;
        }
        if options.stdin || options.stdout || options.stderr {
            Ok(options)
        } else {
            Err("you must specify at least 1 of stdin, stdout, stderr")
        }
    }
}
