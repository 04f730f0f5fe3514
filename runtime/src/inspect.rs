//! Reading a component without compiling or running it: what it is, what it asks for, which hosts it fits and why not.

use std::collections::BTreeSet;

use ocho_core::tools::{Metadata, Wasi};
use serde::{Deserialize, Serialize};
use wasmparser::component_types::ComponentEntityType;
use wasmparser::types::TypesRef;
use wasmparser::{
    ComponentName, CustomSectionReader, Encoding, KnownCustom, Parser, Payload, ValidPayload, Validator, WasmFeatures,
};

use crate::contract::Contract;
use crate::{Grants, Interface};

/// The versions of the contract that this host serves.
pub const CONTRACTS: [&str; Contract::ALL.len()] = [Contract::V0_1.name()];

/// A text of the metadata is cut here: it is shown in tables and kept in the journal.
const TEXT_BYTES: usize = 4096;

/// What a component is and asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ComponentReport {
    /// Its size.
    pub bytes: u64,
    /// The WASI that it is a command for; none where it is no command of a WASI that this host has.
    pub wasi: Option<Wasi>,
    /// What it says about itself.
    pub metadata: Metadata,
    /// Everything that it imports, sorted.
    pub imports: Vec<String>,
    /// Everything that it exports, sorted.
    pub exports: Vec<String>,
    /// What it imports of the contract: the permissions that it asks for.
    pub wanted: Grants,
    /// Whether it sees a working folder if there is one.
    pub uses_folder: bool,
    /// For each version of the contract that this host serves, whether the component runs on it.
    pub fits: Vec<ContractFit>,
}

/// Whether a component runs on a host with a version of the contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContractFit {
    /// The version: `0.1`.
    pub contract: String,
    /// Whether it runs there.
    pub fits: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Misfit>,
}

/// Why a component does not run on this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "code", content = "what", rename_all = "kebab-case")]
pub enum Misfit {
    /// It cannot be started.
    #[error(
        "exports no `wasi:cli/run`; a plugin is a WASI command (in Rust: `fn main()`, or `wasip3::cli::command::export!`) for WASI 0.2 or 0.3"
    )]
    NotACommand,
    /// It was built for a WASI that came after this host.
    #[error("needs `{0}`, of a WASI later than the 0.3 of this host; build it for WASI 0.3 or 0.2, or update the host")]
    LaterWasi(String),
    /// It asks for a version of the contract that this host does not serve.
    #[error("imports `{0}`, of a contract that this host does not serve ({served} is served); update the host", served = CONTRACTS.join(", "))]
    LaterContract(String),
    /// It asks for a function that came after this host.
    #[error("imports the function `{function}` of `{interface}`, which this host does not have; update the host")]
    NewerFunction {
        /// The import.
        interface: String,
        /// The function.
        function: String,
    },
    /// It asks for something that no plugin gets.
    #[error("imports what this host does not have: {0}")]
    UnknownImport(String),
}

impl Misfit {
    /// A stable word for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotACommand => "not-a-command",
            Self::LaterWasi(_) => "later-wasi",
            Self::LaterContract(_) | Self::NewerFunction { .. } => "later-contract",
            Self::UnknownImport(_) => "unknown-imports",
        }
    }
}

/// Why a file cannot be read as a component.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAComponent {
    /// It is WebAssembly of the older kind.
    #[error("it is a core module; build it for the target wasm32-wasip2")]
    CoreModule,
    /// It is something else, or broken.
    #[error("{0}")]
    Garbage(String),
}

impl ComponentReport {
    /// Reads a component. Takes milliseconds, and neither compiles nor runs anything; the code of functions is not looked at.
    ///
    /// # Errors
    /// Where it is none.
    pub fn read(wasm: &[u8]) -> Result<Self, NotAComponent> {
        let mut found = Found::default();
        // Whatever proposal it uses: what this host can run is for wasmtime to say.
        let mut validator = Validator::new_with_features(WasmFeatures::all());
        for payload in Parser::new(0).parse_all(wasm) {
            let payload = payload.map_err(|error| NotAComponent::Garbage(error.to_string()))?;
            // The modules within end too, before the component's exports come.
            let is_whole = found.depth == 0;
            found.take(&payload)?;
            if let ValidPayload::End(types) =
                validator.payload(&payload).map_err(|error| NotAComponent::Garbage(error.to_string()))?
                && is_whole
            {
                return Ok(found.report(wasm.len() as u64, types.as_ref()));
            }
        }
        Err(NotAComponent::Garbage("it ends in the middle".to_owned()))
    }

    /// Why it does not run on this host; nothing where it does.
    #[must_use]
    pub fn misfits(&self) -> &[Misfit] {
        self.fits.first().map_or(&[], |fit| &fit.reasons)
    }
}

#[derive(Default)]
struct Found {
    /// Modules and components around what is read now.
    depth: u32,
    metadata: Metadata,
    imports: BTreeSet<String>,
    exports: BTreeSet<String>,
}

impl Found {
    fn take(&mut self, payload: &Payload<'_>) -> Result<(), NotAComponent> {
        match payload {
            Payload::Version { encoding: Encoding::Module, .. } if self.depth == 0 => return Err(NotAComponent::CoreModule),
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => self.depth += 1,
            Payload::End(_) => self.depth = self.depth.saturating_sub(1),
            _ if self.depth > 0 => {}
            Payload::ComponentImportSection(imports) => {
                self.imports.extend(imports.clone().into_iter().flatten().map(|import| import.name.name.to_owned()));
            }
            Payload::ComponentExportSection(exports) => {
                self.exports.extend(exports.clone().into_iter().flatten().map(|export| export.name.name.to_owned()));
            }
            Payload::CustomSection(section) => self.take_metadata(section),
            _ => {}
        }
        Ok(())
    }

    fn take_metadata(&mut self, section: &CustomSectionReader<'_>) {
        let text = || cut(&String::from_utf8_lossy(section.data()));
        let place = match section.name() {
            "version" => &mut self.metadata.version,
            "description" => &mut self.metadata.description,
            "authors" => &mut self.metadata.authors,
            "licenses" => &mut self.metadata.licenses,
            "source" => &mut self.metadata.source,
            "revision" => &mut self.metadata.revision,
            "homepage" => &mut self.metadata.homepage,
            "component-name" => {
                self.metadata.name = component_name(section);
                return;
            }
            _ => return,
        };
        *place = text();
    }

    fn report(self, bytes: u64, types: TypesRef<'_>) -> ComponentReport {
        let wasi = self.exports.iter().filter_map(|export| wasi_of_command(export)).max();
        let mut reasons: Vec<Misfit> = self.imports.iter().flat_map(|import| misfits(import, types)).collect();
        if wasi.is_none() {
            let later = self.exports.iter().find(|export| export.starts_with("wasi:cli/run@") && is_later_wasi(export));
            reasons.insert(0, later.map_or(Misfit::NotACommand, |export| Misfit::LaterWasi(export.clone())));
        }
        ComponentReport {
            bytes,
            wasi,
            metadata: self.metadata,
            wanted: self.imports.iter().filter_map(|import| Interface::from_import(import)).collect(),
            uses_folder: self.imports.iter().any(|import| import.starts_with("wasi:filesystem/preopens@")),
            imports: self.imports.into_iter().collect(),
            exports: self.exports.into_iter().collect(),
            fits: vec![ContractFit { contract: CONTRACTS[0].to_owned(), fits: reasons.is_empty(), reasons }],
        }
    }
}

fn cut(text: &str) -> Option<String> {
    let printable = text.trim().chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c });
    let mut cut = String::new();
    for c in printable {
        if cut.len() + c.len_utf8() > TEXT_BYTES {
            break;
        }
        cut.push(c);
    }
    (!cut.is_empty()).then_some(cut)
}

fn component_name(section: &CustomSectionReader<'_>) -> Option<String> {
    let KnownCustom::ComponentName(names) = section.as_known() else { return None };
    names.into_iter().flatten().find_map(|name| match name {
        ComponentName::Component { name, .. } => cut(name),
        _ => None,
    })
}

fn wasi_of_command(export: &str) -> Option<Wasi> {
    let version = export.strip_prefix("wasi:cli/run@")?;
    match numbers(version)? {
        (0, 2, _) => Some(Wasi::P2),
        (0, 3, _) => Some(Wasi::P3),
        _ => None,
    }
}

/// `0.3.2`; a pre-release fits nobody but itself.
fn numbers(version: &str) -> Option<(u64, u64, u64)> {
    let mut parts = version.split('.').map(|part| part.parse().ok());
    let numbers = (parts.next()??, parts.next()??, parts.next()??);
    parts.next().is_none().then_some(numbers)
}

/// The packages of WASI that every plugin is linked with, and which versions of each.
const WASI: [(&str, &[u64]); 7] = [
    ("cli", &[2, 3]),
    ("clocks", &[2, 3]),
    ("filesystem", &[2, 3]),
    ("http", &[2, 3]),
    ("io", &[2]),
    ("random", &[2, 3]),
    ("sockets", &[2, 3]),
];

fn is_later_wasi(name: &str) -> bool {
    let version = name.split_once('@').and_then(|(_, version)| numbers(version.split('-').next().unwrap_or_default()));
    version.is_some_and(|(major, minor, _)| (major, minor) > (0, 3))
}

fn is_served_wasi(import: &str) -> bool {
    let Some((package, version)) = import.strip_prefix("wasi:").and_then(|rest| rest.split_once('/')) else { return false };
    let Some((0, minor, _)) = version.split_once('@').and_then(|(_, version)| numbers(version)) else { return false };
    WASI.iter().any(|(name, minors)| *name == package && minors.contains(&minor))
}

fn misfits(import: &str, types: TypesRef<'_>) -> Vec<Misfit> {
    if let Some(interface) = Interface::from_import(import) {
        return newer_functions(import, interface, types);
    }
    if crate::plugin::is_types(import) || is_served_wasi(import) {
        return Vec::new();
    }
    let version = import.split_once('@').and_then(|(_, version)| numbers(version));
    vec![match (import, version) {
        (wasi, _) if wasi.starts_with("wasi:") && is_later_wasi(wasi) => Misfit::LaterWasi(import.to_owned()),
        (ours, Some(version)) if ours.starts_with("ocho:") && version >= (0, 2, 0) => Misfit::LaterContract(import.to_owned()),
        _ => Misfit::UnknownImport(import.to_owned()),
    }]
}

fn newer_functions(import: &str, interface: Interface, types: TypesRef<'_>) -> Vec<Misfit> {
    let Some(ComponentEntityType::Instance(instance)) = types.component_item_for_import(import).map(|item| item.ty) else {
        return vec![Misfit::UnknownImport(import.to_owned())];
    };
    let exports = &types[instance].exports;
    let functions = exports.iter().filter(|(_, item)| matches!(item.ty, ComponentEntityType::Func(_)));
    functions
        .filter(|(name, _)| !interface.functions().contains(&name.as_str()))
        .map(|(name, _)| Misfit::NewerFunction { interface: import.to_owned(), function: name.clone() })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> ComponentReport {
        ComponentReport::read(&wat::parse_str(text).unwrap()).unwrap()
    }

    const RUN_P2: &str = r#"
        (core module $m (func (export "run") (result i32) i32.const 0))
        (core instance $i (instantiate $m))
        (func $run (result (result)) (canon lift (core func $i "run")))
        (instance $exports (export "run" (func $run)))
        (export "wasi:cli/run@0.2.6" (instance $exports))"#;

    fn reasons(imports: &str) -> Vec<String> {
        read(&format!("(component {imports} {RUN_P2})")).misfits().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_command_and_what_it_asks_for() {
        let report = read(&format!(
            r#"(component $tool
                (import "wasi:cli/environment@0.2.0" (instance))
                (import "wasi:filesystem/preopens@0.2.0" (instance))
                (import "ocho:pods/registry@0.1.4" (instance (export "find" (func))))
                (import "ocho:pods/types@0.1.0" (instance))
                {RUN_P2}
                (@custom "version" "1.2.3") (@custom "description" "Does\00it")
                (@custom "licenses" "Apache-2.0") (@custom "source" "https://example.org/tool"))"#
        ));
        assert_eq!((report.wasi, report.uses_folder, report.misfits()), (Some(Wasi::P2), true, &[][..]));
        assert_eq!(report.wanted.to_string(), "pods/registry");
        assert_eq!(report.exports, ["wasi:cli/run@0.2.6"]);
        assert_eq!(report.imports.len(), 4);
        let Metadata { name, version, description, licenses, source, authors, .. } = report.metadata;
        let texts = [name, version, description, licenses, source, authors].map(Option::unwrap_or_default);
        assert_eq!(texts, ["tool", "1.2.3", "Does it", "Apache-2.0", "https://example.org/tool", ""]);
    }

    #[test]
    fn what_does_not_fit_is_told() {
        for (imports, reason) in [
            (r#"(import "wasi:cli/environment@0.4.0" (instance))"#, "needs `wasi:cli/environment@0.4.0`, of a WASI later than"),
            (r#"(import "wasi:cli/environment@1.0.0-rc.1" (instance))"#, "needs `wasi:cli/environment@1.0.0-rc.1`, of a WASI"),
            (r#"(import "wasi:nn/tensor@0.2.0" (instance))"#, "imports what this host does not have: wasi:nn/tensor@0.2.0"),
            (r#"(import "wasi:io/poll@0.3.0" (instance))"#, "imports what this host does not have: wasi:io/poll@0.3.0"),
            (r#"(import "ocho:pods/registry@0.2.0" (instance))"#, "imports `ocho:pods/registry@0.2.0`, of a contract that"),
            (r#"(import "ocho:pods/colours@0.1.0" (instance))"#, "imports what this host does not have: ocho:pods/colours@0.1.0"),
            (r#"(import "ocho:pods/registry@0.1.0" (func))"#, "imports what this host does not have: ocho:pods/registry@0.1.0"),
            (r#"(import "what-is-this" (func))"#, "imports what this host does not have: what-is-this"),
            (
                r#"(import "ocho:pods/registry@0.1.9" (instance (export "find" (func)) (export "lose" (func))))"#,
                "imports the function `lose` of `ocho:pods/registry@0.1.9`, which this host does not have; update the host",
            ),
        ] {
            let told = reasons(imports);
            assert!(told.len() == 1 && told[0].starts_with(reason), "{imports}: {told:?}");
        }
        assert_eq!(read("(component)").misfits(), [Misfit::NotACommand]);
        let later = RUN_P2.replace("0.2.6", "0.4.0");
        assert_eq!(read(&format!("(component {later})")).misfits()[0].code(), "later-wasi");
    }

    #[test]
    fn what_is_no_component_is_told() {
        let module = wat::parse_str("(module)").unwrap();
        assert_eq!(ComponentReport::read(&module), Err(NotAComponent::CoreModule));
        let good = wat::parse_str(format!("(component {RUN_P2})")).unwrap();
        let whole = ComponentReport::read(&good).unwrap();
        let fitting =
            (0..good.len()).filter_map(|end| ComponentReport::read(&good[..end]).ok().filter(|cut| cut.misfits().is_empty()));
        // Cut between two sections it is a component still; one that fits lacks nothing but names for people.
        for cut in fitting {
            assert_eq!((cut.imports, cut.exports), (whole.imports.clone(), whole.exports.clone()));
        }
        assert!(ComponentReport::read(&good[..10]).is_err());
        for garbage in [&b""[..], b"no component", b"\0asm", &[0; 4096], &[0xff; 4096]] {
            assert!(matches!(ComponentReport::read(garbage), Err(NotAComponent::Garbage(_))));
        }
        // Whatever one byte becomes, there is an answer.
        for at in 0..good.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut changed = good.clone();
                changed[at] = value;
                let _ = ComponentReport::read(&changed);
            }
        }
    }

    #[test]
    fn the_functions_are_those_of_the_contract() {
        for interface in Interface::ALL {
            let (package, name) = interface.name().split_once('/').unwrap();
            let file = format!("{}/../wit/0.1/{package}/{package}.wit", env!("CARGO_MANIFEST_DIR"));
            let wit = std::fs::read_to_string(file).unwrap();
            let start = wit.find(&format!("interface {name} {{")).unwrap();
            let body = &wit[start..start + wit[start..].find("\n}").unwrap()];
            let functions = body.lines().filter(|line| line.contains("func(")).map(|line| line.split(':').next().unwrap().trim());
            assert_eq!(functions.collect::<Vec<_>>(), interface.functions(), "{interface}");
        }
    }
}
