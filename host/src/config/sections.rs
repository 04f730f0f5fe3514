//! Parts of the configuration file that no flag can express.

use std::collections::BTreeMap;

use ocho_core::ToolName;
use ocho_runtime::Grants;
use serde::Deserialize;

/// All of them. Each field is a section of the file; an unknown key in one is refused with its line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Sections {
    /// `[tool.<name>]`: what is different for one tool.
    pub tool: BTreeMap<ToolName, ToolSection>,
}

impl Sections {
    /// The names of the fields: keys of the file that are no options.
    pub const NAMES: &[&str] = &["tool"];
}

/// `[tool.<name>]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ToolSection {
    /// `grants = ["pods/exec", ...]`: as `--grant`, which goes before it.
    pub grants: Option<Grants>,
}
