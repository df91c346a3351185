//! `pods/log`: its options, and the kubelet's stream behind them.
//!
//! Upstream: `pkg/registry/core/pod/rest/log.go`, `pod/strategy.go` `LogLocation`,
//! `validation.ValidatePodLogOptions`.

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::gvk::GroupKind;
use apimachinery::meta;
use apimachinery::status::{ApiError, Result};
use axum::body::Body;
use http::{Response, StatusCode};
use streaming::{reader, upgrade};

use super::super::super::Call;
use super::{container, kubelet_of, pod};
use crate::objects::text;
use crate::proxy::{self, Trust};
use crate::request::Query;

pub(super) async fn serve(call: Call) -> Result<Response<Body>> {
    let name = call.ctx.info.name.clone();
    let query = options(&call.query, &name)?;
    let pod = pod(&call).await?;
    let container = container(&pod, call.query.get("container"))?;
    if text(&pod, "/spec/nodeName").is_empty() {
        // Not scheduled yet: nothing was logged (upstream `StreamObject`).
        let mut nothing = Response::new(Body::empty());
        *nothing.status_mut() = StatusCode::NO_CONTENT;
        return Ok(nothing);
    }
    let (mut target, _) = kubelet_of(&call, &pod).await?;
    if call.query.flag("insecureSkipTLSVerifyBackend") {
        target.trust = Trust::KubeletUnverified;
    }
    target.path = format!(
        "/containerLogs/{}/{}/{container}",
        meta::namespace(&pod),
        meta::name(&pod)
    );
    target.query = proxy::encode_query(&query);
    let log = proxy::read(&call.api.nodes, &target, "pods/log", &name).await?;
    if upgrade::requested(&call.head.headers) != Some(upgrade::Protocol::WebSocket) {
        return Ok(log);
    }
    let bytes = log.into_body().into_data_stream();
    Ok(reader::serve(call.into_request(), bytes).map(Body::new))
}

/// The kubelet's query, in upstream's order (Go sorts it), or what is wrong with the options.
fn options(query: &Query, name: &str) -> Result<Vec<(String, String)>> {
    let given = |key: &str| query.get(key).filter(|v| !v.is_empty());
    let number = |key: &str| -> Result<Option<i64>> {
        given(key)
            .map(|v| {
                v.parse::<i64>()
                    .map_err(|_| ApiError::bad_request(format!("strconv.ParseInt: parsing {v:?}: invalid syntax")))
            })
            .transpose()
    };
    let (tail, limit, since) = (number("tailLines")?, number("limitBytes")?, number("sinceSeconds")?);
    let since_time = given("sinceTime")
        .map(|t| {
            t.parse::<jiff::Timestamp>().map_err(|_| {
                ApiError::bad_request(format!(
                    "parsing time {t:?} as \"2006-01-02T15:04:05Z07:00\": cannot parse {t:?} as \"2006\""
                ))
            })
        })
        .transpose()?;
    let mut errors = ErrorList::new();
    if let Some(n) = tail.filter(|n| *n < 0) {
        errors.push(Error::invalid(
            &Path::new("tailLines"),
            n,
            "must be greater than or equal to 0",
        ));
    }
    if let Some(n) = limit.filter(|n| *n < 1) {
        errors.push(Error::invalid(&Path::new("limitBytes"), n, "must be greater than 0"));
    }
    match since {
        Some(_) if since_time.is_some() => errors.push(Error::forbidden(
            &Path::root().key(""),
            "at most one of `sinceTime` or `sinceSeconds` may be specified",
        )),
        Some(n) if n < 1 => errors.push(Error::invalid(&Path::new("sinceSeconds"), n, "must be greater than 0")),
        _ => {}
    }
    if given("stream").is_some() {
        errors.push(Error::forbidden(&Path::new("stream"), "may not be specified"));
    }
    if !errors.is_empty() {
        return Err(ApiError::invalid(&GroupKind::new("", "PodLogOptions"), name, errors));
    }
    let flag = |key: &str| query.flag(key).then(|| "true".to_owned());
    let all = [
        ("follow", flag("follow")),
        ("limitBytes", limit.map(|n| n.to_string())),
        ("previous", flag("previous")),
        ("sinceSeconds", since.map(|n| n.to_string())),
        (
            "sinceTime",
            since_time.map(|t| t.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
        ),
        ("tailLines", tail.map(|n| n.to_string())),
        ("timestamps", flag("timestamps")),
    ];
    Ok(all.into_iter().filter_map(|(k, v)| Some((k.to_owned(), v?))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_options_go_to_the_kubelet() {
        for (query, want) in [
            ("", ""),
            ("container=a&follow=false&previous=0", ""),
            (
                "timestamps=true&tailLines=0&follow=1&limitBytes=5",
                "follow=true&limitBytes=5&tailLines=0&timestamps=true",
            ),
            ("sinceSeconds=3", "sinceSeconds=3"),
            (
                "sinceTime=2026-01-02T03:04:05%2B01:00",
                "sinceTime=2026-01-02T02%3A04%3A05Z",
            ),
            ("insecureSkipTLSVerifyBackend=true", ""),
        ] {
            let got = options(&Query::parse(query), "p").expect(query);
            assert_eq!(proxy::encode_query(&got), want, "{query}");
        }
    }

    #[test]
    fn bad_options_are_refused_in_upstreams_words() {
        let prefix = "PodLogOptions \"p\" is invalid: ";
        for (query, code, message) in [
            (
                "tailLines=-1",
                422,
                "tailLines: Invalid value: -1: must be greater than or equal to 0",
            ),
            (
                "limitBytes=0",
                422,
                "limitBytes: Invalid value: 0: must be greater than 0",
            ),
            (
                "sinceSeconds=0",
                422,
                "sinceSeconds: Invalid value: 0: must be greater than 0",
            ),
            (
                "sinceSeconds=1&sinceTime=2026-01-02T03:04:05Z",
                422,
                "[]: Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified",
            ),
            ("stream=Stdout", 422, "stream: Forbidden: may not be specified"),
            ("tailLines=x", 400, "strconv.ParseInt: parsing \"x\": invalid syntax"),
        ] {
            let e = options(&Query::parse(query), "p").expect_err(query);
            let text = e.message.strip_prefix(prefix).unwrap_or(&e.message);
            assert_eq!((e.code, text), (code, message));
        }
    }
}
