//! `/logging`: levels as operators of the real thing set them. Here they are kept and shown, and that is all: what is written is
//! decided where the host is started.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Json;
use axum::response::IntoResponse;
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::error::{Answer, ApiError};
use super::request::Request;

const WORDS: [(&str, &str); 7] = [
    ("all", "all"),
    ("trace", "trace"),
    ("debug", "debug"),
    ("info", "info"),
    ("warn", "warn"),
    ("error", "error"),
    ("off", "off"),
];

/// Loggers that have a level of their own; whoever wants more is told so.
const LOGGERS_MAX: usize = 1000;

/// The longest name of a logger.
const NAME_MAX: usize = 256;

/// Levels that were set, some of them for a while.
#[derive(Default)]
pub(crate) struct Levels(Mutex<BTreeMap<String, Level>>);

struct Level {
    word: &'static str,
    until: Option<Instant>,
}

impl Levels {
    /// `GET /logging`.
    pub(crate) fn list(&self) -> Answer {
        let mut shown = Map::from_iter([("ROOT".to_owned(), Value::from("INFO"))]);
        let mut levels = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        forget_old(&mut levels);
        shown.extend(levels.iter().map(|(name, level)| (name.clone(), level.word.to_ascii_uppercase().into())));
        Ok(Json(shown).into_response())
    }

    /// `POST /logging`: echoes what was asked for.
    pub(crate) fn set(&self, request: &Request) -> Answer {
        let (word, logger, seconds) = request.parse(|at| {
            let m = at.object()?;
            let word = m.need("level").and_then(|at| at.word(&WORDS));
            let logger = m.need("logger").and_then(|at| at.filled());
            let seconds = m.get("durationSeconds").map(|at| at.count_from(1));
            Some((word?, logger?, if let Some(seconds) = seconds { Some(seconds?) } else { None }))
        })?;
        let mut levels = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        forget_old(&mut levels);
        if logger.len() > NAME_MAX || (levels.len() >= LOGGERS_MAX && !levels.contains_key(&logger)) {
            return Err(ApiError::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                format!("not more than {LOGGERS_MAX} loggers, {NAME_MAX} bytes each"),
            ));
        }
        let mut echo = json!({ "level": word, "logger": logger });
        if let Some(seconds) = seconds {
            echo["durationSeconds"] = seconds.into();
        }
        let until = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds.into()));
        levels.insert(logger, Level { word, until });
        Ok(Json(echo).into_response())
    }
}

fn forget_old(levels: &mut BTreeMap<String, Level>) {
    let now = Instant::now();
    levels.retain(|_, level| level.until.is_none_or(|until| until > now));
}
