//! exec, attach, run, logs, cp, port-forward and proxy: what flows both ways.

use std::{fs, net::SocketAddr, path::PathBuf, process};

use e2e::{
    http,
    kubectl::{Aside, Namespace},
    wait,
};

use super::{POD, ready_deployment, ready_pod, refused};

const IMAGE: &str = "--image=docker.io/corten/web:1";
const PULL: &str = "--image-pull-policy=IfNotPresent";

/// The address in the first line that has one, such as `Forwarding from 127.0.0.1:40000 -> 8080`.
fn address(aside: &mut Aside) -> SocketAddr {
    loop {
        let line = aside.line().expect("it says where it listens");
        if let Some(address) = line.split_whitespace().find_map(|word| word.parse().ok()) {
            return address;
        }
    }
}

#[test]
fn a_pod_is_run_fed_and_removed_in_one_command() {
    let (cluster, _gate) = crate::shared();
    let ns = cluster.namespace("run");
    let args = [
        "run",
        "once",
        IMAGE,
        PULL,
        "--restart=Never",
        "--rm",
        "-i",
        "--command",
        "--",
        "/bin/cat",
    ];
    let fed = ns.try_kubectl(&args, Some("through the pod\n"));
    assert_eq!(fed.code, 0, "{}", fed.stderr);
    assert!(fed.stdout.contains("through the pod\n"), "{}{}", fed.stdout, fed.stderr);
    let gone = ns.try_kubectl(&["get", "pod", "once"], None);
    refused(&gone, "NotFound");
    let args = [
        "run",
        "failing",
        IMAGE,
        PULL,
        "--restart=Never",
        "--rm",
        "-i",
        "--command",
        "--",
        "/bin/exit",
        "5",
    ];
    assert_eq!(ns.try_kubectl(&args, None).code, 5);
    let dry = ns.kubectl(&["run", "dry", IMAGE, "--dry-run=client", "-o", "name", "--", "serve"]);
    assert_eq!(dry, "pod/dry\n");
}

#[test]
fn attach_reaches_the_first_process() {
    let (cluster, _gate) = crate::shared();
    let ns = cluster.namespace("attach");
    let serving = "args: [serve, --port, \"8080\"]";
    let cat = POD.replace(serving, "command: [/bin/cat]\n      stdin: true\n      stdinOnce: true");
    ns.apply(&cat.replace("name: web\n  labels", "name: cat\n  labels"));
    ns.kubectl(&["wait", "--for=condition=Ready", "pod/cat", "--timeout=120s"]);
    let attached = ns.try_kubectl(&["attach", "-i", "cat"], Some("to the first process\n"));
    assert_eq!(attached.code, 0, "{}", attached.stderr);
    assert!(
        attached.stdout.contains("to the first process\n"),
        "{}{}",
        attached.stdout,
        attached.stderr
    );
    let missing = ns.try_kubectl(&["attach", "cat", "-c", "nobody"], None);
    refused(&missing, "container nobody");
}

#[test]
fn logs_are_followed_to_the_end() {
    let (cluster, _gate) = crate::shared();
    let ns = cluster.namespace("follow");
    ready_pod(&ns);
    let mut follow = Aside::start(ns.command(&["logs", "-f", "web"]));
    assert_eq!(follow.line().as_deref(), Some("web serves on port 8080"));
    ns.kubectl(&["delete", "pod", "web"]);
    assert_eq!(follow.line(), None, "the end of the container is the end of its log");
    assert_eq!(follow.end(), 0);
}

/// A directory that goes with the value.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

#[test]
fn files_are_copied_in_and_out() {
    let (cluster, _gate) = crate::shared();
    let ns = cluster.namespace("cp");
    ready_pod(&ns);
    let scratch = Scratch(std::env::temp_dir().join(format!("corten-cp-{}", process::id())));
    let path = |name: &str| scratch.0.join(name).display().to_string();
    fs::create_dir_all(scratch.0.join("tree/below")).expect("a directory");
    fs::write(path("tree/top"), "top\n").expect("a file");
    // Larger than any buffer on the way.
    let large: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    fs::write(path("tree/below/large"), &large).expect("a file");
    let copy = |from: &str, to: &str| {
        let copied = ns.try_kubectl(&["cp", from, to], None);
        assert_eq!(copied.code, 0, "{from} to {to}: {}", copied.stderr);
    };
    copy(&path("tree/top"), "web:/top");
    assert_eq!(ns.kubectl(&["exec", "web", "--", "/bin/cat", "/top"]), "top\n");
    copy(&path("tree"), "web:/");
    copy("web:/tree", &path("back"));
    assert_eq!(fs::read_to_string(path("back/top")).expect("the file"), "top\n");
    assert!(
        fs::read(path("back/below/large")).expect("the file") == large,
        "the large file differs"
    );
    copy("web:/tree/top", &path("one"));
    assert_eq!(fs::read_to_string(path("one")).expect("the file"), "top\n");
}

#[test]
fn ports_are_forwarded_to_pods_and_services() {
    let (cluster, _gate) = crate::shared();
    let ns = cluster.namespace("forward");
    ready_deployment(&ns);
    ns.kubectl(&["create", "service", "clusterip", "web", "--tcp=80:8080"]);
    for (target, port) in [
        ("deployment/web", ":8080"),
        ("service/web", ":80-8080"),
        ("service/web", ":80"),
    ] {
        let mut forward = Aside::start(ns.command(&["port-forward", target, port]));
        let local = address(&mut forward);
        for _ in 0..3 {
            let host = http::get(local, "/hostname").unwrap_or_else(|error| panic!("{target} {port}: {error}"));
            assert!(host.starts_with("web-"), "{host}");
        }
    }
}

#[test]
fn proxy_reaches_the_api_pods_and_services() {
    let (cluster, _gate) = crate::shared();
    let ns = cluster.namespace("proxy");
    ready_deployment(&ns);
    ns.kubectl(&[
        "expose",
        "deployment",
        "web",
        "--port=80",
        "--target-port=http",
        "--name=front",
    ]);
    let mut proxy = Aside::start(ns.command(&["proxy", "--port=0"]));
    let local = address(&mut proxy);
    let get = |path: &str| http::get(local, path);
    assert!(get("/version").expect("the version").contains("\"minor\": \"36\""));
    let pod = first_pod(&ns);
    let pods = format!("/api/v1/namespaces/{}/pods", ns.name());
    assert!(get(&pods).expect("a list").contains(&pod));
    assert_eq!(
        get(&format!("{pods}/{pod}:8080/proxy/hostname"))
            .expect("the pod")
            .trim(),
        pod
    );
    let service = format!("/api/v1/namespaces/{}/services/front:80/proxy/hostname", ns.name());
    wait::until("the service through the proxy", || {
        let host = get(&service)?;
        if host.starts_with("web-") { Ok(()) } else { Err(host) }
    });
}

fn first_pod(ns: &Namespace<'_>) -> String {
    ns.kubectl(&["get", "pods", "-o", "jsonpath={.items[0].metadata.name}"])
}
