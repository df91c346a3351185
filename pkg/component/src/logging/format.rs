//! One line per event (facts of the forms: klog `formatHeader`, component-base `logs/json`).

use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// The event formatter.
pub(super) struct Klog {
    pub(super) json: bool,
}

impl<S, N> FormatEvent<S, N> for Klog
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _ctx: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let meta = event.metadata();
        let file = meta
            .file()
            .and_then(|file| file.rsplit('/').next())
            .unwrap_or("unknown");
        let line = meta.line().unwrap_or(0);
        if self.json {
            return write_json(&mut out, meta.level(), file, line, &fields);
        }
        let letter = match *meta.level() {
            Level::ERROR => 'E',
            Level::WARN => 'W',
            _ => 'I',
        };
        let now = jiff::Zoned::now();
        write!(
            out,
            "{letter}{:02}{:02} {:02}:{:02}:{:02}.{:06} {:7} {file}:{line}] ",
            now.month(),
            now.day(),
            now.hour(),
            now.minute(),
            now.second(),
            now.subsec_nanosecond() / 1000,
            std::process::id(),
        )?;
        let message = fields.message.trim_end_matches('\n');
        if fields.pairs.is_empty() {
            out.write_str(message)?;
        } else {
            write!(out, "{message:?}")?;
        }
        for (key, value) in &fields.pairs {
            match value {
                serde_json::Value::String(text) => write!(out, " {key}={text:?}")?,
                other => write!(out, " {key}={other}")?,
            }
        }
        out.write_char('\n')
    }
}

fn write_json(out: &mut Writer<'_>, level: &Level, file: &str, line: u32, fields: &Fields) -> fmt::Result {
    let now = jiff::Timestamp::now();
    let millis = now.as_nanosecond() as f64 / 1e6;
    let mut object = serde_json::Map::new();
    object.insert("ts".into(), millis.into());
    object.insert("caller".into(), format!("{file}:{line}").into());
    object.insert("msg".into(), fields.message.clone().into());
    match *level {
        Level::ERROR => {}
        Level::WARN | Level::INFO => drop(object.insert("v".into(), 0.into())),
        Level::DEBUG => drop(object.insert("v".into(), 4.into())),
        Level::TRACE => drop(object.insert("v".into(), 6.into())),
    }
    for (key, value) in &fields.pairs {
        object.insert((*key).to_owned(), value.clone());
    }
    writeln!(out, "{}", serde_json::Value::Object(object))
}

#[derive(Default)]
struct Fields {
    message: String,
    pairs: Vec<(&'static str, serde_json::Value)>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: serde_json::Value) {
        // r#type and the like come without their prefix.
        self.pairs.push((field.name(), value));
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            // Writing to a String cannot fail.
            let _ = write!(self.message, "{value:?}");
        } else {
            self.put(field, format!("{value:?}").into());
        }
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message.push_str(value);
        } else {
            self.put(field, value.into());
        }
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut source = value.source();
        while let Some(error) = source {
            // Writing to a String cannot fail.
            let _ = write!(text, ": {error}");
            source = error.source();
        }
        self.put(field, text.into());
    }
}
