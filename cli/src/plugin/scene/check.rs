//! Compares what a run left with what its scene expects.

use ocho_core::json;
use serde_json::Value;

use super::cluster::Heard;
use super::format::{ExpectPart, OrderPart};
use super::stage::Played;
use super::values::{Texts, in_words};
use super::{diff, values};

/// Says, in lines for people, each thing that is not as expected. None is good.
pub(crate) fn differences(expect: &ExpectPart, played: &Played) -> Vec<String> {
    let mut found = Vec::new();
    check_start(expect, played, &mut found);
    check_end(expect, played, &mut found);
    check_text("standard output", &expect.out, &expect.out_contains, &expect.out_lacks, &played.out, &mut found);
    check_text("standard error", &expect.err, &expect.err_contains, &expect.err_lacks, &played.err, &mut found);
    if let Some(wanted) = &expect.out_json {
        check_json(wanted, &played.out, &mut found);
    }
    if let Some(wanted) = &expect.orders {
        let orders: Vec<&Heard> = played.heard.iter().filter(|heard| heard.is_order).collect();
        check_heard("orders", wanted, &orders, &mut found);
    }
    if let Some(wanted) = &expect.requests {
        check_heard("requests", wanted, &played.heard.iter().collect::<Vec<_>>(), &mut found);
    }
    found
}

fn check_start(expect: &ExpectPart, played: &Played, found: &mut Vec<String>) {
    match (&expect.refused, &played.refused) {
        (Some(wanted), Some(why)) if !why.contains(wanted) => found.push(format!("refused with another reason: {why}")),
        (Some(_), None) => found.push("it was to be refused, but it ran".to_owned()),
        (None, Some(why)) => found.push(format!("it did not start: {why}")),
        _ => {}
    }
}

fn check_end(expect: &ExpectPart, played: &Played, found: &mut Vec<String>) {
    match (&expect.ended, &played.ended) {
        (Some(wanted), Some(why)) if !why.contains(wanted) => found.push(format!("ended for another reason: {why}")),
        (Some(_), None) if played.refused.is_none() => {
            found.push("it was to be ended by the host, but it ended by itself".to_owned())
        }
        (None, Some(why)) => found.push(format!("ended by the host: {why}")),
        _ => {}
    }
    let is_ended = expect.ended.is_some() || expect.refused.is_some();
    let wanted = expect.exit.unwrap_or(if is_ended { 137 } else { 0 });
    if played.exit != wanted {
        found.push(format!("exit code {} instead of {wanted}", played.exit));
    }
    if let Some(wanted) = expect.elapsed
        && wanted.0 != played.elapsed
    {
        found.push(format!("took {} instead of {}", in_words(played.elapsed), in_words(wanted.0)));
    }
}

fn check_text(what: &str, exact: &Option<String>, contains: &Texts, lacks: &Texts, got: &str, found: &mut Vec<String>) {
    if let Some(wanted) = exact
        && wanted != got
    {
        found.push(format!("{what} (- expected, + got):\n{}", diff::lines(wanted, got).join("\n")));
    }
    let missing: Vec<&String> = contains.0.iter().filter(|text| !got.contains(*text)).collect();
    for text in &missing {
        found.push(format!("{what} does not contain `{text}`"));
    }
    let unwanted = lacks.0.iter().filter(|text| got.contains(*text));
    found.extend(unwanted.map(|text| format!("{what} contains `{text}`")));
    if !missing.is_empty() {
        found.push(format!("{what} is:\n{}", got.trim_end()));
    }
}

fn check_json(wanted: &Value, got: &str, found: &mut Vec<String>) {
    match serde_json::from_str::<Value>(got) {
        Ok(value) if value == *wanted => {}
        Ok(value) => found.push(format!(
            "standard output as JSON (- expected, + got):\n{}",
            diff::lines(&pretty(wanted), &pretty(&value)).join("\n")
        )),
        Err(error) => found.push(format!("standard output is not JSON: {error}\n{}", got.trim_end())),
    }
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

fn check_heard(what: &str, wanted: &[OrderPart], heard: &[&Heard], found: &mut Vec<String>) {
    let matches = wanted.len() == heard.len() && wanted.iter().zip(heard).all(|(wanted, heard)| is_as(wanted, heard));
    if matches {
        return;
    }
    // A line that is as expected is shown as it was expected, so that the diff shows only the others.
    let shown = |nth: usize, heard: &&Heard| match wanted.get(nth) {
        Some(wanted) if is_as(wanted, heard) => expected_line(wanted),
        Some(OrderPart::Text(_)) => heard.text.clone(),
        _ => got_line(heard),
    };
    let expected: String = wanted.iter().map(|wanted| expected_line(wanted) + "\n").collect();
    let got: String = heard.iter().enumerate().map(|(nth, heard)| shown(nth, heard) + "\n").collect();
    found.push(format!("{what} (- expected, + got):\n{}", diff::lines(&expected, &got).join("\n")));
}

fn is_as(wanted: &OrderPart, heard: &Heard) -> bool {
    match wanted {
        OrderPart::Text(text) => *text == heard.text,
        OrderPart::Whole(whole) => {
            let body = heard.body.clone().unwrap_or_default();
            whole.order == heard.text
                && whole.body.as_ref().is_none_or(|wanted| *wanted == body)
                && whole.body_has.as_ref().is_none_or(|wanted| has(&body, wanted))
        }
    }
}

/// Whether every member of `wanted` is in `value`, at any depth. Lists are compared whole.
fn has(value: &Value, wanted: &Value) -> bool {
    match (value, wanted) {
        (Value::Object(value), Value::Object(wanted)) => {
            wanted.iter().all(|(member, wanted)| value.get(member).is_some_and(|value| has(value, wanted)))
        }
        _ => value == wanted,
    }
}

fn expected_line(wanted: &OrderPart) -> String {
    match wanted {
        OrderPart::Text(text) => text.clone(),
        OrderPart::Whole(whole) => match (&whole.body, &whole.body_has) {
            (Some(body), _) => format!("{} {}", whole.order, json::to_line(body)),
            (None, Some(body)) => format!("{} with {}", whole.order, json::to_line(body)),
            (None, None) => whole.order.clone(),
        },
    }
}

/// An order with its body on one line.
pub(crate) fn got_line(heard: &Heard) -> String {
    match &heard.body {
        Some(Value::String(body)) => format!("{} {}", heard.text, values::text_of(&Value::String(body.clone()))),
        Some(body) => format!("{} {}", heard.text, json::to_line(body)),
        None => heard.text.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn played() -> Played {
        let heard = |text: &str, body, is_order| Heard { text: text.to_owned(), body, is_order };
        Played {
            out: "{\"a\": 1}\n".to_owned(),
            err: "a hint\n".to_owned(),
            exit: 0,
            ended: None,
            refused: None,
            elapsed: Duration::from_secs(3),
            heard: vec![
                heard("find *", None, false),
                heard("PUT /v2/apps/x", Some(json!({"instances": 3, "env": {"A": "1", "B": "2"}})), true),
            ],
        }
    }

    #[track_caller]
    fn check(expect: &str, differences_found: usize) {
        let expect: ExpectPart = toml::from_str(expect).unwrap();
        let found = differences(&expect, &played());
        assert_eq!(found.len(), differences_found, "{found:#?}");
    }

    #[test]
    fn what_is_as_expected() {
        check("", 0);
        check("exit = 0\nout = \"{\\\"a\\\": 1}\\n\"\nerr-contains = 'hint'\nout-lacks = ['b', 'c']\nelapsed = '3s'", 0);
        check("out-json = { a = 1 }", 0);
        check("orders = ['PUT /v2/apps/x']\nrequests = ['find *', 'PUT /v2/apps/x']", 0);
        check("orders = [{ order = 'PUT /v2/apps/x', body-has = { env = { A = '1' } } }]", 0);
        check("orders = [{ order = 'PUT /v2/apps/x', body = { instances = 3, env = { A = '1', B = '2' } } }]", 0);
    }

    #[test]
    fn what_is_not() {
        check("exit = 1", 1);
        check("out = ''", 1);
        check("err-contains = 'x'", 2);
        check("err-lacks = 'hint'", 1);
        check("out-json = { a = 2 }", 1);
        check("elapsed = '2s'", 1);
        check("ended = 'over'", 2);
        check("refused = 'imports'", 2);
        check("orders = []", 1);
        check("requests = ['PUT /v2/apps/x', 'find *']", 1);
        check("orders = [{ order = 'PUT /v2/apps/x', body-has = { env = { A = '2' } } }]", 1);
        check("orders = [{ order = 'PUT /v2/apps/x', body = { instances = 3 } }]", 1);
    }
}
