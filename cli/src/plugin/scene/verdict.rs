//! What came of scenes: for people and for programs.

use serde_json::{Value, json};

use super::stage::Played;
use super::{Scene, SceneError, check};

/// What came of one scene.
#[derive(Debug)]
pub(crate) struct Verdict {
    scene: String,
    about: Option<String>,
    differences: Vec<String>,
    played: Option<Played>,
}

impl Verdict {
    /// Compares what a scene left with what it expects. One that cannot be played has failed.
    pub(crate) fn new(scene: &Scene, played: Result<Played, SceneError>) -> Self {
        let (differences, played) = match played {
            Ok(played) => (check::differences(&scene.file.expect, &played), Some(played)),
            Err(error) => (vec![chain(&error)], None),
        };
        Self { scene: scene.name.clone(), about: scene.about().map(str::to_owned), differences, played }
    }

    fn is_good(&self) -> bool {
        self.differences.is_empty()
    }

    fn text(&self) -> String {
        let about = self.about.as_ref().map(|about| format!("  {about}")).unwrap_or_default();
        if self.is_good() {
            return format!("ok    {}{about}", self.scene);
        }
        let lines = self.differences.iter().flat_map(|difference| difference.lines()).map(|line| format!("\n        {line}"));
        format!("FAIL  {}{about}{}", self.scene, lines.collect::<String>())
    }

    fn json(&self) -> Value {
        let mut value = json!({
            "scene": self.scene, "about": self.about, "passed": self.is_good(), "differences": self.differences,
        });
        if let (Some(played), Some(members)) = (&self.played, value.as_object_mut()) {
            let heard = |is_meant: fn(bool) -> bool| -> Vec<String> {
                played.heard.iter().filter(|heard| is_meant(heard.is_order)).map(check::got_line).collect()
            };
            let left = json!({
                "exit_code": played.exit, "ended": played.ended, "refused": played.refused, "out": played.out, "err": played.err,
                "elapsed_ms": u64::try_from(played.elapsed.as_millis()).unwrap_or(u64::MAX),
                "orders": heard(|is_order| is_order), "requests": heard(|_| true),
            });
            members.extend(left.as_object().cloned().unwrap_or_default());
        }
        value
    }
}

fn chain(error: &SceneError) -> String {
    let mut text = error.to_string();
    if let Some(cause) = std::error::Error::source(error) {
        text = format!("{text}: {cause}");
    }
    text
}

/// What came of all scenes of a plugin.
#[derive(Debug)]
pub(crate) struct Verdicts(pub(crate) Vec<Verdict>);

impl Verdicts {
    /// Whether every scene went as expected.
    pub(crate) fn are_good(&self) -> bool {
        self.0.iter().all(Verdict::is_good)
    }

    /// A line for each scene, with what differed below it, and a count.
    pub(crate) fn text(&self) -> String {
        let scenes: Vec<String> = self.0.iter().map(Verdict::text).collect();
        let failed = self.0.iter().filter(|verdict| !verdict.is_good()).count();
        let noun = if self.0.len() == 1 { "scene" } else { "scenes" };
        format!("{}\n\n{} {noun}, {failed} failed", scenes.join("\n"), self.0.len())
    }

    /// The same for programs.
    pub(crate) fn json(&self, component: &std::path::Path) -> Value {
        let failed = self.0.iter().filter(|verdict| !verdict.is_good()).count();
        let scenes: Vec<Value> = self.0.iter().map(Verdict::json).collect();
        json!({
            "version": 1, "component": component.display().to_string(), "passed": self.0.len() - failed, "failed": failed,
            "scenes": scenes,
        })
    }
}
