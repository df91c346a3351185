#![allow(clippy::unwrap_used)]

use std::time::Duration;

use super::{Table, value};

const TSV: &str = "secure-port\t\tint\t10259\tacts\tHTTPS port
v\tv\tlevel\t0\tacts
help\th\tbool\tfalse\tacts
version\t\tversion\tfalse\tacts
leader-elect\t\tbool\ttrue\tacts
node-labels\t\tmapStringString\t\tacts
allowed\t\tstringSlice\ta,b\tacts
keys\t\tstringArray\t\tacts
period\t\tduration\t10s\tacts
feature-gates\t\tfeatureGates\t\tacts
bind-address\t\tip\t0.0.0.0\tacts
ports\t\tportRange\t30000-32767\tacts
old\t\tstring\t\tdeprecated
quiet\t\tstring\t\tsilent";

fn table() -> Table {
    Table::new("kube-test", TSV)
}

fn refused(args: &[&str]) -> String {
    table().parse(args.iter().copied()).unwrap_err().to_string()
}

#[test]
fn values_follow_pflag_syntax() {
    let values = table()
        .parse([
            "--secure_port",
            "443",
            "-v=4",
            "--leader-elect=false",
            "--allowed=x,y",
            "--allowed",
            "z",
            "--node-labels=",
            "--keys=a,b",
            "--keys=c",
            "--period=1m30s",
            "--feature-gates=kube:A=true,B=false",
            "--quiet=-1",
        ])
        .unwrap();
    assert_eq!(values.int("secure-port"), 443);
    assert_eq!(values.int("v"), 4);
    assert!(!values.bool("leader-elect"));
    assert_eq!(values.strings("allowed"), ["x", "y", "z"]);
    assert!(values.map("node-labels").is_empty());
    assert_eq!(values.strings("keys"), ["a,b", "c"]);
    assert_eq!(values.duration("period"), Duration::from_secs(90));
    assert_eq!(
        values.map("feature-gates").into_iter().collect::<Vec<_>>(),
        [("A".into(), "true".into()), ("B".into(), "false".into())]
    );
    assert_eq!(values.string("quiet"), "-1");
}

#[test]
fn defaults_apply_and_a_bare_bool_is_true() {
    let values = table().parse(["--leader-elect", "-v", "2"]).unwrap();
    assert!(values.bool("leader-elect") && values.changed("leader-elect"));
    assert!(!values.changed("allowed"));
    assert_eq!(values.strings("allowed"), ["a", "b"]);
    assert_eq!(values.port_range("ports"), Some((30000, 32767)));
    assert_eq!(values.ip("bind-address").unwrap().to_string(), "0.0.0.0");
}

#[test]
fn refusals_have_pflag_texts() {
    assert_eq!(refused(&["--nope=1"]), "unknown flag: --nope");
    assert_eq!(refused(&["-x"]), "unknown shorthand flag: 'x' in -x");
    assert_eq!(
        refused(&["--secure-port=x"]),
        "invalid argument \"x\" for \"--secure-port\" flag: strconv.ParseInt: parsing \"x\": invalid syntax"
    );
    assert_eq!(
        refused(&["-v=q"]),
        "invalid argument \"q\" for \"-v, --v\" flag: strconv.ParseInt: parsing \"q\": invalid syntax"
    );
    assert_eq!(
        refused(&["--period=5"]),
        "invalid argument \"5\" for \"--period\" flag: time: missing unit in duration \"5\""
    );
    assert_eq!(refused(&["--secure-port"]), "flag needs an argument: --secure-port");
    assert_eq!(
        refused(&["--leader-elect=maybe"]),
        "invalid argument \"maybe\" for \"--leader-elect\" flag: strconv.ParseBool: parsing \"maybe\": invalid syntax"
    );
    assert_eq!(refused(&["run"]), "unknown command \"run\" for \"kube-test\"");
}

#[test]
fn the_first_wrong_word_is_reported() {
    assert!(refused(&["--period=x", "--secure-port=y"]).contains("--period"));
    assert!(refused(&["--secure-port=y", "--period=x"]).contains("--secure-port"));
}

#[test]
fn unused_names_what_was_set_but_not_read() {
    let values = table()
        .parse(["--old=1", "--quiet=2", "--period=3s", "--secure-port=1"])
        .unwrap();
    let _ = values.int("secure-port");
    assert_eq!(values.unused(), ["period", "old"]);
}

#[test]
fn single_dash_and_environment_serve_etcd() {
    let table = Table::new("etcd", "name\t\tstring\tdefault\tacts\ndata-dir\t\tstring\t\tacts")
        .single_dash()
        .env_prefix("ETCD");
    let env = |name: &str| (name == "ETCD_DATA_DIR").then(|| "/d".to_owned());
    let values = super::parse::parse(&table, vec!["-name".into(), "m0".into()], &env).unwrap();
    assert_eq!(values.string("name"), "m0");
    assert_eq!(values.string("data-dir"), "/d");
}

#[test]
fn durations_are_gos() {
    for (text, expected) in [
        ("0", Duration::ZERO),
        ("1.5s", Duration::from_millis(1500)),
        ("1h0m0s", Duration::from_secs(3600)),
        ("250ms", Duration::from_millis(250)),
        ("-1s", Duration::ZERO),
    ] {
        assert_eq!(value::parse_duration(text).unwrap(), expected, "{text}");
    }
    assert_eq!(
        value::parse_duration("1x").unwrap_err(),
        "time: unknown unit \"x\" in duration \"1x\""
    );
    assert_eq!(value::parse_duration("").unwrap_err(), "time: invalid duration \"\"");
}

#[test]
fn every_binarys_table_is_sound() {
    for (program, tsv) in [
        (
            "kube-apiserver",
            include_str!("../../../../kube-apiserver/src/flags.tsv"),
        ),
        (
            "kube-scheduler",
            include_str!("../../../../kube-scheduler/src/flags.tsv"),
        ),
        (
            "kube-controller-manager",
            include_str!("../../../../kube-controller-manager/src/flags.tsv"),
        ),
        ("kubelet", include_str!("../../../../kubelet/src/flags.tsv")),
        ("kube-proxy", include_str!("../../../../kube-proxy/src/flags.tsv")),
        ("etcd-shim", include_str!("../../../../etcd-shim/src/flags.tsv")),
    ] {
        let table = Table::new(program, tsv);
        let mut names = std::collections::BTreeSet::new();
        for flag in table.flags() {
            assert!(names.insert(flag.name), "{program}: --{} twice", flag.name);
            assert!(!flag.name.contains('_'), "{program}: --{}", flag.name);
            if !flag.default.is_empty() {
                value::check(flag.kind, flag.default)
                    .unwrap_or_else(|error| panic!("{program} --{}: {error}", flag.name));
            }
        }
        table.parse(["--version", "--help"]).unwrap();
    }
}

#[test]
fn all_flags_are_printed_as_go_does() {
    let rows = "a\t\tstringSlice\t[x]\tacts\nb\t\tbool\t\tacts\nd\t\tduration\t60s\tacts\nm\t\tmapStringString\t\tacts\nn\t\tint\t3\tacts";
    let values = Table::new("x", rows).parse(["--m=z=1,a=2", "--b"]).unwrap();
    let all: Vec<String> = values.all().into_iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(all, ["a=[x]", "b=true", "d=1m0s", "m=a=2,z=1", "n=3"]);
}
