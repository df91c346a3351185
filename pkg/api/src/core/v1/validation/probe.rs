//! Probes and lifecycle handlers.

use apimachinery::field::{BadValue, Error, ErrorList, Path};
use k8s_openapi::api::core::v1::{
    ExecAction, GRPCAction, HTTPGetAction, Lifecycle, LifecycleHandler, Probe, SleepAction, TCPSocketAction,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::check::{list, non_negative, one_of, port_or_name, required, text};

/// `validateLivenessProbe`.
pub(super) fn liveness(errs: &mut ErrorList, probe: Option<&Probe>, path: &Path) {
    once(errs, probe, path);
}

/// `validateStartupProbe`.
pub(super) fn startup(errs: &mut ErrorList, probe: Option<&Probe>, path: &Path) {
    once(errs, probe, path);
}

/// `validateReadinessProbe`.
pub(super) fn readiness(errs: &mut ErrorList, probe: Option<&Probe>, path: &Path) {
    let Some(probe) = probe else { return };
    common(errs, probe, path);
    if let Some(seconds) = probe.termination_grace_period_seconds {
        let path = path.child("terminationGracePeriodSeconds");
        errs.push(Error::invalid(&path, seconds, "must not be set for readinessProbes"));
    }
}

/// A probe that acts after one success.
fn once(errs: &mut ErrorList, probe: Option<&Probe>, path: &Path) {
    let Some(probe) = probe else { return };
    common(errs, probe, path);
    let successes = probe.success_threshold.unwrap_or(0);
    if successes != 1 {
        errs.push(Error::invalid(&path.child("successThreshold"), successes, "must be 1"));
    }
}

/// `validateProbe`.
fn common(errs: &mut ErrorList, probe: &Probe, path: &Path) {
    let handler = Handler {
        exec: probe.exec.as_ref(),
        http_get: probe.http_get.as_ref(),
        tcp_socket: probe.tcp_socket.as_ref(),
        grpc: probe.grpc.as_ref(),
        sleep: None,
    };
    handler.validate(errs, None, path);
    for (field, value) in [
        ("initialDelaySeconds", probe.initial_delay_seconds),
        ("timeoutSeconds", probe.timeout_seconds),
        ("periodSeconds", probe.period_seconds),
        ("successThreshold", probe.success_threshold),
        ("failureThreshold", probe.failure_threshold),
    ] {
        non_negative(errs, &path.child(field), value.map(i64::from));
    }
    if let Some(seconds) = probe.termination_grace_period_seconds.filter(|s| *s <= 0) {
        let path = path.child("terminationGracePeriodSeconds");
        errs.push(Error::invalid(&path, seconds, "must be greater than 0"));
    }
}

/// `validateLifecycle`.
pub(super) fn lifecycle(
    errs: &mut ErrorList,
    lifecycle: &Lifecycle,
    grace: Option<i64>,
    os: Option<&str>,
    path: &Path,
) {
    for (field, handler) in [("postStart", &lifecycle.post_start), ("preStop", &lifecycle.pre_stop)] {
        let Some(LifecycleHandler {
            exec,
            http_get,
            sleep,
            tcp_socket,
        }) = handler
        else {
            continue;
        };
        let handler = Handler {
            exec: exec.as_ref(),
            http_get: http_get.as_ref(),
            tcp_socket: tcp_socket.as_ref(),
            grpc: None,
            sleep: sleep.as_ref(),
        };
        handler.validate(errs, grace, &path.child(field));
    }
    if let Some(signal) = &lifecycle.stop_signal {
        stop_signal(errs, signal, os, &path.child("stopSignal"));
    }
}

/// Signals of Linux in the order upstream lists them (`supportedStopSignalsLinux`, sorted).
fn linux_signals() -> Vec<String> {
    let names = "ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP \
                 SYS TERM TRAP TSTP TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ RTMIN RTMAX";
    let named = names.split_whitespace().map(|n| format!("SIG{n}"));
    let above = (1..=15).map(|n| format!("SIGRTMIN+{n}"));
    let below = (1..=14).map(|n| format!("SIGRTMAX-{n}"));
    let mut all: Vec<String> = named.chain(above).chain(below).collect();
    all.sort();
    all
}

/// `validateStopSignal`. The gate ContainerStopSignals is off: only stored objects have one.
fn stop_signal(errs: &mut ErrorList, signal: &str, os: Option<&str>, path: &Path) {
    match os {
        None => {
            let rule = "may not be set for containers with empty `spec.os.name`";
            errs.push(Error::forbidden(path, rule));
        }
        Some("windows") => one_of(errs, path, signal, &["SIGKILL", "SIGTERM"]),
        Some("linux") => {
            let known = linux_signals();
            if !known.iter().any(|k| k == signal) {
                errs.push(Error::not_supported(path, BadValue::named(signal), &known));
            }
        }
        Some(_) => {}
    }
}

/// What probes and lifecycle hooks can do.
struct Handler<'a> {
    exec: Option<&'a ExecAction>,
    http_get: Option<&'a HTTPGetAction>,
    tcp_socket: Option<&'a TCPSocketAction>,
    grpc: Option<&'a GRPCAction>,
    sleep: Option<&'a SleepAction>,
}

impl Handler<'_> {
    /// `validateHandler`: exactly one, and that one right.
    fn validate(&self, errs: &mut ErrorList, grace: Option<i64>, path: &Path) {
        let set = [
            ("exec", self.exec.is_some()),
            ("httpGet", self.http_get.is_some()),
            ("tcpSocket", self.tcp_socket.is_some()),
            ("grpc", self.grpc.is_some()),
            ("sleep", self.sleep.is_some()),
        ];
        let mut fields = set.into_iter().filter(|(_, set)| *set).map(|(field, _)| field);
        let Some(first) = fields.next() else {
            errs.push(Error::required(path, "must specify a handler type"));
            return;
        };
        self.one(errs, first, grace, &path.child(first));
        for field in fields {
            let rule = "may not specify more than 1 handler type";
            errs.push(Error::forbidden(&path.child(field), rule));
        }
    }

    fn one(&self, errs: &mut ErrorList, field: &str, grace: Option<i64>, path: &Path) {
        match (field, self) {
            ("exec", Handler { exec: Some(exec), .. }) if list(&exec.command).is_empty() => {
                errs.push(Error::required(&path.child("command"), ""));
            }
            (
                "httpGet",
                Handler {
                    http_get: Some(get), ..
                },
            ) => http(errs, get, path),
            (
                "tcpSocket",
                Handler {
                    tcp_socket: Some(tcp), ..
                },
            ) => {
                port_or_name(errs, &path.child("port"), &tcp.port);
            }
            ("grpc", Handler { grpc: Some(grpc), .. }) => {
                port_or_name(errs, &path.child("port"), &IntOrString::Int(grpc.port));
            }
            ("sleep", Handler { sleep: Some(sleep), .. }) => {
                if let Some(grace) = grace.filter(|g| sleep.seconds < 0 || sleep.seconds > *g) {
                    let rule = format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})");
                    errs.push(Error::invalid(path, sleep.seconds, rule));
                }
            }
            _ => {}
        }
    }
}

/// `validateHTTPGetAction`.
fn http(errs: &mut ErrorList, get: &HTTPGetAction, path: &Path) {
    required(errs, &path.child("path"), text(&get.path));
    port_or_name(errs, &path.child("port"), &get.port);
    one_of(errs, &path.child("scheme"), text(&get.scheme), &["HTTP", "HTTPS"]);
    for header in list(&get.http_headers) {
        let messages = apimachinery::validation::is_http_header_name(&header.name);
        crate::check::invalid_each(errs, &path.child("httpHeaders"), &header.name, messages);
    }
}
