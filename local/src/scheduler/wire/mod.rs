//! What clients send and what they get: reading, normal form, rules, answers.

pub(crate) mod answer;
pub(crate) mod group_update;
pub(crate) mod json;
pub(crate) mod legacy;
pub(crate) mod normal;
pub(crate) mod parts;
pub(crate) mod rules;
pub(crate) mod selector;
pub(crate) mod update;
