//! `/debug/pprof` and `/debug/flags`, what `--profiling` serves.
//!
//! There is no profiler in this build: the index is there and says so, and so does each profile, in the form Go's
//! `net/http/pprof` gives its errors. `PUT /debug/flags/v` changes the verbosity of the log.
//! Upstream: `apiserver/pkg/server/routes/{profiling,flags}.go`.

use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use http::{Method, Response, StatusCode};

use crate::logging;
use crate::serving::{Body, full};

const NOSNIFF: HeaderName = HeaderName::from_static("x-content-type-options");
const GO_PPROF: HeaderName = HeaderName::from_static("x-go-pprof");

/// Whether a path is served here.
#[must_use]
pub fn concerns(path: &str) -> bool {
    ["/debug/pprof", "/debug/flags"].iter().any(|root| {
        path.strip_prefix(root)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// Answers a request on a path that [`concerns`] this module. `body`: what was sent with it.
#[must_use]
pub fn respond(method: &Method, path: &str, body: &[u8]) -> Response<Body> {
    match path {
        "/debug/pprof" => {
            let mut response = answer(StatusCode::FOUND, "text/html; charset=utf-8", String::new());
            let headers = response.headers_mut();
            headers.insert(LOCATION, HeaderValue::from_static("/debug/pprof/"));
            response
        }
        "/debug/pprof/" => answer(StatusCode::OK, "text/html; charset=utf-8", INDEX.to_owned()),
        "/debug/pprof/symbol" => answer(StatusCode::OK, PLAIN, "num_symbols: 0\n".to_owned()),
        "/debug/pprof/profile" => error(
            StatusCode::INTERNAL_SERVER_ERROR,
            "Could not enable CPU profiling: this build has no profiler",
        ),
        "/debug/pprof/trace" => error(
            StatusCode::INTERNAL_SERVER_ERROR,
            "Could not enable tracing: this build has no tracer",
        ),
        "/debug/flags/v" if *method != Method::PUT => answer(
            StatusCode::NOT_ACCEPTABLE,
            "text/plain",
            "unsupported http method\n".to_owned(),
        ),
        "/debug/flags/v" => verbosity(&String::from_utf8_lossy(body)),
        _ if path.starts_with("/debug/flags") => answer(StatusCode::OK, "text/html; charset=utf-8", FLAGS.to_owned()),
        _ => error(StatusCode::NOT_FOUND, "Unknown profile"),
    }
}

const PLAIN: &str = "text/plain; charset=utf-8";
const INDEX: &str = "<html>\n<head>\n<title>/debug/pprof/</title>\n</head>\n<body>\n/debug/pprof/\n<p>This build has no profiles.</p>\n</body>\n</html>\n";
const FLAGS: &str = "<html>\n<head>\n<title>/debug/flags/</title>\n</head>\n<body>\n/debug/flags/<br>\n<br>\nflags:<br>\n<table>\n<tr>v<br>\n</table>\n<br>\nfull flags configurable<br>\n</body>\n</html>\n";

/// Upstream `logs.GlogSetter`.
fn verbosity(text: &str) -> Response<Body> {
    let (code, said) = match text.parse::<i32>() {
        Ok(level) => {
            logging::set_verbosity(i64::from(level));
            let said = format!("successfully set klog.logging.verbosity to {text}\n");
            (StatusCode::OK, said)
        }
        Err(_) => {
            let why = format!("strconv.ParseInt: parsing {text:?}: invalid syntax");
            let said = format!("failed set klog.logging.verbosity {text}: {why}\n");
            (StatusCode::BAD_REQUEST, said)
        }
    };
    answer(code, "text/plain", said)
}

fn error(code: StatusCode, text: &str) -> Response<Body> {
    let mut response = answer(code, PLAIN, format!("{text}\n"));
    response.headers_mut().insert(GO_PPROF, HeaderValue::from_static("1"));
    response
}

fn answer(code: StatusCode, content_type: &'static str, text: String) -> Response<Body> {
    let mut response = Response::new(full(text));
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(NOSNIFF, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn each_path_has_its_code_and_words() {
        for (method, path, body, code, words) in [
            ("GET", "/debug/pprof", "", 302, ""),
            ("GET", "/debug/pprof/", "", 200, "no profiles"),
            ("GET", "/debug/pprof/heap", "", 404, "Unknown profile"),
            ("GET", "/debug/pprof/profile", "", 500, "Could not enable CPU profiling"),
            ("GET", "/debug/flags", "", 200, "<tr>v<br>"),
            ("GET", "/debug/flags/v", "", 406, "unsupported http method"),
            (
                "PUT",
                "/debug/flags/v",
                "2",
                200,
                "successfully set klog.logging.verbosity to 2\n",
            ),
            (
                "PUT",
                "/debug/flags/v",
                "x",
                400,
                "failed set klog.logging.verbosity x: strconv.ParseInt: parsing \"x\": invalid syntax\n",
            ),
        ] {
            assert!(concerns(path), "{path}");
            let response = respond(&method.parse().unwrap(), path, body.as_bytes());
            assert_eq!(response.status().as_u16(), code, "{method} {path}");
            let bytes = response.into_body().collect().await.unwrap().to_bytes();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            assert!(text.contains(words), "{method} {path}: {text}");
        }
        for other in ["/debug", "/debug/pprofx", "/debug/flagsy/v"] {
            assert!(!concerns(other), "{other}");
        }
    }
}
