//! Real `kubectl`, as a person types it.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use serde_json::Value;

use crate::cluster::{Cluster, command_output};

const INSTALL: &str = "apt-get install kubernetes-client";

/// What a command printed and how it ended.
#[derive(Debug, Clone)]
pub struct Output {
    /// Exit code; -1 when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// A namespace of one test, with `kubectl` bound to it. It is deleted when the value is dropped.
#[derive(Debug)]
pub struct Namespace<'a> {
    cluster: &'a Cluster,
    name: String,
}

static NEXT: AtomicU32 = AtomicU32::new(0);

impl Cluster {
    /// Runs `kubectl ARGS` as administrator.
    pub fn try_kubectl(&self, args: &[&str], input: Option<&str>) -> Output {
        run(self.admin_kubeconfig(), args, input)
    }

    /// As [`Cluster::try_kubectl`], for a command that has to succeed; its standard output.
    ///
    /// # Panics
    /// When it fails, with what it printed.
    pub fn kubectl(&self, args: &[&str]) -> String {
        expect_success(args, self.try_kubectl(args, None))
    }

    /// `kubectl` as administrator, to be given what [`Cluster::try_kubectl`] has no words for.
    pub fn command(&self) -> Command {
        command(&self.admin_kubeconfig())
    }

    /// A new namespace, named for the test.
    pub fn namespace(&self, test: &str) -> Namespace<'_> {
        let name = format!("{test}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        self.kubectl(&["create", "namespace", &name]);
        Namespace { cluster: self, name }
    }
}

impl Namespace<'_> {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `kubectl -n NAMESPACE ARGS`.
    pub fn try_kubectl(&self, args: &[&str], input: Option<&str>) -> Output {
        let mut all = vec!["-n", &self.name];
        all.extend_from_slice(args);
        self.cluster.try_kubectl(&all, input)
    }

    /// Runs `kubectl -n NAMESPACE ARGS`, which has to succeed; its standard output.
    ///
    /// # Panics
    /// When it fails, with what it printed.
    pub fn kubectl(&self, args: &[&str]) -> String {
        expect_success(args, self.try_kubectl(args, None))
    }

    /// `kubectl -n NAMESPACE ARGS`, to be given an environment or run aside.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.cluster.command();
        command.args(["-n", &self.name]).args(args);
        command
    }

    /// `kubectl apply -f -` of a manifest.
    ///
    /// # Panics
    /// When it fails.
    pub fn apply(&self, manifest: &str) -> String {
        let args = ["apply", "-f", "-"];
        expect_success(&args, self.try_kubectl(&args, Some(manifest)))
    }

    /// `kubectl get ARGS -o json`.
    ///
    /// # Panics
    /// When it fails or prints no JSON.
    pub fn get(&self, args: &[&str]) -> Value {
        let mut all = vec!["get"];
        all.extend_from_slice(args);
        all.extend(["-o", "json"]);
        serde_json::from_str(&self.kubectl(&all)).expect("kubectl -o json prints JSON")
    }

    /// Deletes the namespace and waits until it is gone.
    pub fn delete(self) {
        self.cluster
            .kubectl(&["delete", "namespace", &self.name, "--timeout=120s"]);
        std::mem::forget(self);
    }
}

impl Drop for Namespace<'_> {
    fn drop(&mut self) {
        // Without waiting, and without a second panic while one unwinds.
        self.cluster
            .try_kubectl(&["delete", "namespace", &self.name, "--wait=false"], None);
    }
}

/// Runs `kubectl` with a kubeconfig.
///
/// # Panics
/// When there is no kubectl.
pub fn run(kubeconfig: PathBuf, args: &[&str], input: Option<&str>) -> Output {
    let mut command = command(&kubeconfig);
    command.args(args);
    let output = match input {
        None => command_output(&mut command, INSTALL),
        Some(input) => {
            command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            let mut child = command
                .spawn()
                .unwrap_or_else(|error| panic!("kubectl: {error}; {INSTALL}"));
            let mut stdin = child.stdin.take().expect("stdin is piped");
            // The command may end before it has read everything: its exit code tells.
            stdin.write_all(input.as_bytes()).ok();
            drop(stdin);
            child.wait_with_output().expect("waiting for kubectl")
        }
    };
    Output {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn command(kubeconfig: &Path) -> Command {
    let mut command = Command::new("kubectl");
    command.env("KUBECONFIG", kubeconfig).stdin(Stdio::null());
    command
}

/// A `kubectl` that runs beside the test until the value is dropped, such as `port-forward`.
#[derive(Debug)]
pub struct Aside {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Aside {
    /// Starts it; its standard error goes to the test's.
    ///
    /// # Panics
    /// When there is no kubectl.
    pub fn start(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("kubectl: {error}; {INSTALL}"));
        let stdout = child.stdout.take().expect("stdout is piped");
        let lines = BufReader::new(stdout);
        Self { child, lines }
    }

    /// The next line it prints, without its end; `None` when it prints no more.
    ///
    /// # Panics
    /// When the pipe breaks.
    pub fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.lines.read_line(&mut line).expect("reading from kubectl");
        (read > 0).then(|| line.trim_end().to_owned())
    }

    /// Waits for its end; the exit code, -1 when a signal ended it.
    ///
    /// # Panics
    /// When it cannot be waited for.
    pub fn end(mut self) -> i32 {
        let status = self.child.wait().expect("waiting for kubectl");
        status.code().unwrap_or(-1)
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn expect_success(args: &[&str], output: Output) -> String {
    assert!(
        output.code == 0,
        "kubectl {} ended with {}:\n{}{}",
        args.join(" "),
        output.code,
        output.stdout,
        output.stderr
    );
    output.stdout
}
