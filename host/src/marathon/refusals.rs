//! What Marathon's answers mean: errors by status, deployments.

use ocho_runtime::host::{Deployment, MarathonError, Problem, Refusal};
use serde_json::Value;

use super::call::Reply;

/// The text of an answer that is a success.
pub(super) fn text(reply: Reply) -> Result<String, MarathonError> {
    if reply.status.is_success() { Ok(lossy(&reply)) } else { Err(refusal(&reply)) }
}

/// The deployment that Marathon started.
pub(super) fn deployment(reply: Reply) -> Result<Deployment, MarathonError> {
    if !reply.status.is_success() {
        return Err(refusal(&reply));
    }
    // Old versions answer a deletion with 204 and nothing: it is done, and no deployment has a name.
    if reply.body.is_empty() {
        return Ok(Deployment { id: reply.deployment.unwrap_or_default(), version: String::new() });
    }
    let answer: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let member = |name: &str| answer.get(name).and_then(Value::as_str).map(str::to_owned);
    match (member("deploymentId").or(reply.deployment), member("version")) {
        (Some(id), Some(version)) => Ok(Deployment { id, version }),
        _ => Err(Problem::new("bad-answer", "Marathon accepted the change, but its answer names no deployment").into()),
    }
}

/// What an answer that is no success says.
pub(super) fn refusal(reply: &Reply) -> MarathonError {
    let answer: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let message = match answer.get("message").and_then(Value::as_str).filter(|message| !message.is_empty()) {
        Some(message) => message.to_owned(),
        None => format!("Marathon answered {}", reply.status),
    };
    MarathonError::of(Refusal { status: reply.status.as_u16(), message, body: lossy(reply) })
}

fn lossy(reply: &Reply) -> String {
    String::from_utf8_lossy(&reply.body).into_owned()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use reqwest::StatusCode;

    use super::*;

    fn reply(status: u16, body: &str) -> Reply {
        let body = Bytes::copy_from_slice(body.as_bytes());
        Reply { status: StatusCode::from_u16(status).unwrap(), deployment: None, body }
    }

    fn refused(status: u16, body: &str) -> MarathonError {
        let error = refusal(&reply(status, body));
        if let MarathonError::Invalid(refusal) | MarathonError::Denied(refusal) | MarathonError::Refused(refusal) = &error {
            assert_eq!((refusal.status, refusal.body.as_str()), (status, body));
        }
        error
    }

    #[test]
    fn errors_by_status() {
        let said = r#"{"message": "so it is"}"#;
        for (status, body, expected) in [
            (404, said, "NotFound"),
            (400, r#"{"message": "so it is", "details": "x"}"#, "Invalid"),
            (422, r#"{"message": "so it is", "details": [{"path": "/id", "errors": ["e"]}]}"#, "Invalid"),
            (401, said, "Denied"),
            (403, said, "Denied"),
            (409, said, "Refused"),
            (409, r#"{"message": "so it is", "deployments": []}"#, "Refused"),
            (409, r#"{"message": "so it is", "deployments": {"id": 1}}"#, "Refused"),
            (415, said, "Refused"),
            (500, said, "Refused"),
        ] {
            let error = refused(status, body);
            assert!(format!("{error:?}").starts_with(expected), "{status}: {error:?}");
            assert_eq!(error.to_string(), "so it is");
        }
    }

    #[test]
    fn locks_name_their_deployments() {
        let body = r#"{"message": "App is locked", "deployments": [{"id": "a"}, {"x": 1}, {"id": "b"}]}"#;
        assert_eq!(refused(409, body), MarathonError::Locked(vec!["a".to_owned(), "b".to_owned()]));
    }

    #[test]
    fn an_error_without_a_message_gets_a_sentence() {
        for body in ["", "<html>", "[]", "{\"message\": 5}", "{\"message\": \"\"}"] {
            assert_eq!(refused(502, body).to_string(), "Marathon answered 502 Bad Gateway");
        }
        assert_eq!(refused(599, "").to_string(), "Marathon answered 599 <unknown status code>");
    }

    #[test]
    fn deployments() {
        let of = |status, body| deployment(reply(status, body));
        let made = |id: &str, version: &str| Deployment { id: id.to_owned(), version: version.to_owned() };
        assert_eq!(of(200, r#"{"version": "v", "deploymentId": "d"}"#), Ok(made("d", "v")));
        assert_eq!(of(204, ""), Ok(made("", "")));
        let header = Reply { deployment: Some("h".to_owned()), ..reply(202, "") };
        assert_eq!(deployment(header), Ok(made("h", "")));
        for odd in ["[]", "x", "{}", r#"{"version": 1, "deploymentId": "d"}"#] {
            assert!(matches!(of(200, odd), Err(MarathonError::Other(problem)) if problem.code == "bad-answer"), "{odd}");
        }
        assert!(matches!(of(404, "{}"), Err(MarathonError::NotFound(_))));
    }
}
