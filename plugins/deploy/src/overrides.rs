//! Override files: settings by qualified cluster, several files one over the other.

use ocho_sdk::{Failure, Map, Value, files, hint};

use crate::{settings, yaml};

/// Reads override files in their order; later ones are merged over earlier ones.
pub(crate) fn load(names: &[String]) -> Result<Map<String, Value>, Failure> {
    let mut all = Map::new();
    for name in names {
        // As ever: a file that is not there overrides nothing, and the null check tells what it should have given.
        match files::read(name) {
            Ok(text) => add(&mut all, name, &text)?,
            Err(error) => hint(format_args!("unable to load ['{name}']: {error}")),
        }
    }
    Ok(all)
}

fn add(all: &mut Map<String, Value>, name: &str, text: &str) -> Result<(), Failure> {
    let invalid = |error: yaml::YamlError| Failure::new(format!("['{name}'] is invalid {}: {}", error.at, error.what));
    let Some(file) = yaml::read(text).map_err(invalid)? else { return Ok(()) };
    let Value::Object(blocks) = file.to_json() else {
        return Err(Failure::new(format!("['{name}'] is invalid {}: it must map clusters to settings", file.at)));
    };
    for (cluster, block) in blocks {
        let block = match block {
            Value::Null => Value::Object(Map::new()),
            Value::Object(_) => block,
            _ => return Err(Failure::new(format!("['{name}'] is invalid: the settings of `{cluster}` must be a mapping"))),
        };
        let merged = match all.get_mut(&cluster) {
            Some(earlier) => settings::merge(earlier.take(), block),
            None => block,
        };
        all.insert(cluster, merged);
    }
    Ok(())
}
