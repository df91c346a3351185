#![allow(clippy::unwrap_used)]

use super::*;

fn config(args: &[&str]) -> Result<Config, Vec<String>> {
    let values = table().parse(args.iter().copied()).unwrap();
    Options::from_values(&values).validate()
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

const V1BETA1: &str = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n";

#[test]
fn legacy_defaults_hold_without_a_file_and_file_defaults_with_one() {
    let legacy = config(&["--hostname-override=N1", "--fail-cgroupv1=false"]).unwrap();
    assert_eq!(legacy.node_name, "n1");
    assert!(legacy.file.authentication.anonymous.enabled);
    assert_eq!(legacy.file.authorization.mode, "AlwaysAllow");
    let file = file(&format!("{V1BETA1}syncFrequency: 0s\nnodeStatusUpdateFrequency: 0s\n"));
    let path = file.path().to_str().unwrap();
    let filed = config(&["--config", path]).unwrap().file;
    assert!(!filed.authentication.anonymous.enabled);
    assert_eq!(filed.authorization.mode, "Webhook");
    assert_eq!(filed.sync_frequency.0.as_secs(), 60, "zero means the default");
}

#[test]
fn flags_that_were_given_win_over_the_file() {
    let file = file(&format!("{V1BETA1}maxPods: 50\nstaticPodPath: /a\nport: 1234\n"));
    let path = file.path().to_str().unwrap();
    let merged = config(&["--config", path, "--max-pods=7"]).unwrap().file;
    assert_eq!((merged.max_pods, merged.port), (7, 1234));
    assert_eq!(merged.static_pod_path.as_deref(), Some("/a"));
}

#[test]
fn all_mistakes_are_told_at_once() {
    let errors = config(&["--node-ip=nonsense", "--register-with-taints=x"]).unwrap_err();
    assert_eq!(errors, ["bad --node-ip \"nonsense\"", "invalid taint spec: x"]);
    let file = file("apiVersion: kubelet.config.k8s.io/v1\nkind: KubeletConfiguration\n");
    let errors = config(&["--config", file.path().to_str().unwrap()]).unwrap_err();
    assert!(
        errors[0].contains("no kind \"KubeletConfiguration\" is registered"),
        "{errors:?}"
    );
}
